import { closestName } from "./closest-name.ts";
import { quote } from "./quote.ts";
import type { Reading } from "./read-rule-fields.ts";

/**
 * A frequency is a name for a cron expression. There are two namespaces, because their users disagree: the bare words of the command scheduler, whose `daily` is
 * 02:00, and the methods of Laravel's scheduler, whose `daily()` is midnight. The parentheses tell them apart; a method whose name is no word needs none.
 */
export interface Frequency {
  name: string;
  namespace: "command" | "laravel";
  /** How it is written, with example arguments where it takes some. */
  form: string;
  /** What `form` stands for. */
  cronExpression: string;
  /** What `form` means, to be read after "runs". */
  meaning: string;
}

interface Method {
  name: string;
  parameters: readonly Parameter[];
  /** The cron expression, with `{0}` where the first argument goes. */
  template: string;
  meaning: string;
}

interface Parameter {
  name: string;
  allowed: string;
  /** What stands in the cron expression for an argument, or undefined when the argument is not allowed. */
  read: (argument: string) => string | undefined;
  /** The argument that the method's `form` shows. Without one, the form leaves it out. */
  example?: string;
  /** Laravel's default. Without one, the argument is required. */
  fallback?: string;
}

type ParameterUse = Pick<Parameter, "example" | "fallback">;

const commandFrequencies: readonly Frequency[] = [
  command("hourly", "0 * * * *", "every full hour"),
  command("2hours", "0 */2 * * *", "every 2 hours"),
  command("4hours", "0 */4 * * *", "every 4 hours"),
  command("6hours", "0 */6 * * *", "every 6 hours"),
  command("12hours", "0 2,14 * * *", "every day at 02:00 and 14:00"),
  command("daily", "0 2 * * *", "every day at 02:00"),
  command("weekly", "0 2 * * 0", "every Sunday at 02:00"),
];

const minute = (use: ParameterUse) => wholeNumber({ name: "minute", least: 0, most: 59, ...use });
const hour = (name: string, use: ParameterUse) => wholeNumber({ name, least: 0, most: 23, ...use });
const dayOfMonth = (name: string, use: ParameterUse) => wholeNumber({ name, least: 1, most: 31, ...use });
const month = (use: ParameterUse) => wholeNumber({ name: "month", least: 1, most: 12, ...use });
const dayOfWeek = (use: ParameterUse) =>
  wholeNumber({ name: "day of the week", least: 0, most: 7, remark: ", where 0 and 7 are Sunday", ...use });

const midnight = { fallback: "0:00" };

const methods: readonly Method[] = [
  method("everySecond", [], "* * * * * *", "every second"),
  ...everyFew("Seconds", "*/{n} * * * * *", { Two: 2, Five: 5, Ten: 10, Fifteen: 15, Twenty: 20, Thirty: 30 }),
  method("everyMinute", [], "* * * * *", "every minute"),
  ...everyFew("Minutes", "*/{n} * * * *", { Two: 2, Three: 3, Four: 4, Five: 5, Ten: 10, Fifteen: 15, Thirty: 30 }),
  method("hourly", [], "0 * * * *", "every full hour"),
  method("hourlyAt", [minute({ example: "17" })], "{0} * * * *", "every hour at minute 17"),
  method("everyOddHour", [minute({ fallback: "0" })], "{0} 1-23/2 * * *", "at 01:00, 03:00 and so on to 23:00; a minute may be given"),
  method("everyEvenHour", [minute({ fallback: "0" })], "{0} 0-22/2 * * *", "at 00:00, 02:00 and so on to 22:00; a minute may be given"),
  ...everyFew("Hours", "{0} */{n} * * *", { Two: 2, Three: 3, Four: 4, Six: 6 }, [minute({ fallback: "0" })]),
  method("daily", [], "0 0 * * *", "every day at midnight"),
  method("dailyAt", [time({ example: "13:00" })], "{0} * * *", "every day at 13:00"),
  method("twiceDaily", twice(hour, "hour", ["1", "13"]), "0 {0},{1} * * *", "every day at 01:00 and 13:00"),
  method(
    "twiceDailyAt",
    [...twice(hour, "hour", ["1", "13"]), minute({ example: "15", fallback: "0" })],
    "{2} {0},{1} * * *",
    "every day at 01:15 and 13:15",
  ),
  method("weekly", [], "0 0 * * 0", "every Sunday at midnight"),
  method("weeklyOn", [dayOfWeek({ example: "1" }), time({ example: "8:00", ...midnight })], "{1} * * {0}", "every Monday at 08:00"),
  method("monthly", [], "0 0 1 * *", "on the first day of every month at midnight"),
  method(
    "monthlyOn",
    [dayOfMonth("day", { example: "4", fallback: "1" }), time({ example: "15:00", ...midnight })],
    "{1} {0} * *",
    "on the 4th of every month at 15:00",
  ),
  method(
    "twiceMonthly",
    [...twice(dayOfMonth, "day", ["1", "16"]), time({ example: "13:00", ...midnight })],
    "{2} {0},{1} * *",
    "on the 1st and the 16th of every month at 13:00",
  ),
  method("lastDayOfMonth", [time({ example: "15:00", ...midnight })], "{0} L * *", "on the last day of every month at 15:00"),
  method("quarterly", [], "0 0 1 1-12/3 *", "on the first day of January, April, July and October at midnight"),
  method(
    "quarterlyOn",
    [dayOfMonth("day", { example: "4", fallback: "1" }), time({ example: "14:00", ...midnight })],
    "{1} {0} 1-12/3 *",
    "on the 4th of January, April, July and October at 14:00",
  ),
  method("yearly", [], "0 0 1 1 *", "on January 1st at midnight"),
  method(
    "yearlyOn",
    [month({ example: "6", fallback: "1" }), dayOfMonth("day", { example: "1", fallback: "1" }), time({ example: "17:00", ...midnight })],
    "{2} {1} {0} *",
    "on June 1st at 17:00",
  ),
];

/** Every frequency, the command scheduler's first. */
export const frequencies: readonly Frequency[] = [...commandFrequencies, ...methods.map(exemplify)];

const commandByName = new Map(commandFrequencies.map((frequency) => [frequency.name, frequency]));
const methodByName = new Map(methods.map((known) => [known.name, known]));

/** What people call a frequency that has another name here. */
const otherNames = new Map([
  ["minutely", "everyMinute()"],
  ["everyHour", "hourly()"],
  ["everyDay", "daily()"],
  ["everyWeek", "weekly()"],
  ["everyMonth", "monthly()"],
  ["everyQuarter", "quarterly()"],
  ["everyYear", "yearly()"],
  ["annually", "yearly()"],
  ["midnight", "daily()"],
  ["at", "dailyAt('13:00')"],
]);

/** Laravel's methods that only narrow another frequency. By themselves they would mean every minute of the days they name, which nobody wants. */
const narrowing =
  /->|^(?:days|daysOfMonth|weekdays|weekends|(?:sun|mon|tues|wednes|thurs|fri|satur)days|between|unlessBetween|when|skip|environments|timezone)\b/;

/**
 * Compiles a frequency to its cron expression, or says what is wrong with it, as a phrase to be read after the field's name, `frequency`. Arguments may stand in
 * single quotes, double quotes or none. An expression whose day no month has, like that of `yearlyOn(2, 30)`, is left to `validateRule`: it never fires.
 */
export function compileFrequency(text: unknown): Reading<string> {
  if (typeof text !== "string") return { problem: `is ${quote(text)}; it must be a text like "daily" or "dailyAt('13:00')"` };
  const [, name, argumentsText] = /^(\w+)(?:\s*\(([^()]*)\))?$/.exec(text.trim()) ?? [];
  const written = argumentsText === undefined ? commandByName.get(name ?? "") : undefined;
  if (written !== undefined) return { value: written.cronExpression };
  const known = methodByName.get(name ?? "");
  return known === undefined ? { problem: describeUnknown(text, name ?? text) } : compileCall(text, known, argumentsText ?? "");
}

function compileCall(text: string, called: Method, argumentsText: string): Reading<string> {
  const { name, parameters, template } = called;
  const given = argumentsText.trim() === "" ? [] : argumentsText.split(",").map(unquote);
  if (given.length > parameters.length) {
    const most = ["no argument", "one argument"][parameters.length] ?? `at most ${parameters.length} arguments`;
    // What Laravel's users add an argument to has a longer name where it takes one: dailyAt, weeklyOn.
    const longer = methodByName.get(`${name}At`) ?? methodByName.get(`${name}On`);
    const advice = longer === undefined ? `like "${exemplify(called).form}"` : `but there is "${exemplify(longer).form}"`;
    return { problem: `is ${quote(text)}; ${name} takes ${most}, ${advice}` };
  }
  const values: string[] = [];
  const problems: string[] = [];
  for (const [index, parameter] of parameters.entries()) {
    const argument = given[index] ?? parameter.fallback;
    const value = argument === undefined ? undefined : parameter.read(argument);
    values.push(value ?? "");
    if (value !== undefined) continue;
    const fault = argument === undefined ? "is missing" : `is ${quote(argument)}`;
    problems.push(`its ${parameter.name} ${fault}, allowed: ${parameter.allowed}`);
  }
  if (problems.length > 0) return { problem: `is ${quote(text)}; ${problems.join("; ")}. It is written like "${exemplify(called).form}"` };
  return { value: fill(template, values) };
}

function describeUnknown(text: string, name: string): string {
  const given = `is ${quote(text)}`;
  if (/^cron\b|^@|^[\d*]\S*(?:\s+\S+){4,6}$/.test(text.trim())) return `${given}; a cron expression is given as cron_expression`;
  if (narrowing.test(text.trim())) {
    return `${given}; one frequency is read, and nothing that narrows it. Say it all in cron_expression, like "0 8 * * MON-FRI"`;
  }
  const suggestion = suggestFrequency(name);
  if (suggestion !== undefined) return `${given}; did you mean ${suggestion}?`;
  const words = commandFrequencies.map((frequency) => frequency.name).join(", ");
  return `${given}; known are ${words} and Laravel's methods, like "everyFiveMinutes()", "dailyAt('13:00')" or "monthlyOn(4, '15:00')". Anything else is said in cron_expression, or as kind "interval"`;
}

/**
 * The forms that were most likely meant. Where a name is in both namespaces, both are offered with what they stand for. One slip is forgiven, because spelled
 * numbers are near to each other: everyNineMinutes is not everyFiveMinutes.
 */
function suggestFrequency(name: string): string | undefined {
  const numbered = suggestNumbered(name);
  if (numbered !== undefined || /^(?:every)?\d/i.test(name)) return numbered;
  const otherName = closestName(name, [...otherNames.keys()], { slipsMax: 0 });
  if (otherName !== undefined) return quote(otherNames.get(otherName));
  const names = frequencies.map((frequency) => frequency.name);
  const closest = closestName(name, names, { slipsMax: 1 });
  const near = frequencies.filter((frequency) => frequency.name === closest);
  if (near.length === 0) return undefined;
  return near.map(({ form, cronExpression }) => (near.length === 1 ? `"${form}"` : `"${form}" (${cronExpression})`)).join(" or ");
}

/** `5minutes`, `every15Minutes` and `3hours` name their number in digits: never suggest another number. */
function suggestNumbered(name: string): string | undefined {
  const [, digits, unit = ""] = /^(?:every)?(\d{1,2})(second|minute|hour)s?$/i.exec(name) ?? [];
  if (digits === undefined) return undefined;
  const templates: Record<string, string> = { second: "*/{0} * * * * *", minute: "*/{0} * * * *", hour: "0 */{0} * * *" };
  const expression = fill(templates[unit.toLowerCase()] ?? "", [String(Number(digits))]).replace("*/1 ", "* ");
  const meant = frequencies.find((frequency) => frequency.cronExpression === expression);
  return meant === undefined ? undefined : `"${meant.form}"`;
}

function command(name: string, cronExpression: string, meaning: string): Frequency {
  return { name, namespace: "command", form: name, cronExpression, meaning };
}

function method(name: string, parameters: readonly Parameter[], template: string, meaning: string): Method {
  return { name, parameters, template, meaning };
}

/** `everyTwoMinutes` and its like, one for each spelled number. */
function everyFew(unit: string, template: string, numbers: Record<string, number>, parameters: readonly Parameter[] = []): Method[] {
  const remark = parameters.length === 0 ? "" : "; a minute may be given";
  return Object.entries(numbers).map(([spelled, n]) =>
    method(`every${spelled}${unit}`, parameters, template.replace("{n}", String(n)), `every ${n} ${unit.toLowerCase()}${remark}`),
  );
}

function twice(parameter: (name: string, use: ParameterUse) => Parameter, noun: string, [first, second]: [string, string]): Parameter[] {
  return [
    parameter(`first ${noun}`, { example: first, fallback: first }),
    parameter(`second ${noun}`, { example: second, fallback: second }),
  ];
}

function wholeNumber({
  least,
  most,
  remark = "",
  ...rest
}: { name: string; least: number; most: number; remark?: string } & ParameterUse): Parameter {
  const read = (argument: string) => {
    const value = /^\d{1,2}$/.test(argument) ? Number(argument) : Number.NaN;
    return value >= least && value <= most ? String(value) : undefined;
  };
  return { ...rest, allowed: `${least}–${most}${remark}`, read };
}

/** A time of day, which fills the minute and the hour field. Laravel takes a lone hour too. */
function time(use: ParameterUse): Parameter {
  const read = (argument: string) => {
    const [, hours, minutes = "0"] = /^([01]?\d|2[0-3])(?::([0-5]\d))?$/.exec(argument) ?? [];
    return hours === undefined ? undefined : `${Number(minutes)} ${Number(hours)}`;
  };
  return { ...use, name: "time", allowed: "0:00–23:59, where 0:00 is midnight", read };
}

function exemplify({ name, parameters, template, meaning }: Method): Frequency {
  const shown = parameters.flatMap(({ example }) => example ?? []);
  const values = parameters.map(({ read, example, fallback }) => read(example ?? fallback ?? "") ?? "");
  const form = `${name}(${shown.map((example) => (example.includes(":") ? `'${example}'` : example)).join(", ")})`;
  return { name, namespace: "laravel", form, cronExpression: fill(template, values), meaning };
}

function fill(template: string, values: readonly string[]): string {
  return template.replaceAll(/\{(\d)\}/g, (_, index: string) => values[Number(index)] ?? "");
}

function unquote(argument: string): string {
  const trimmed = argument.trim();
  return /^(["']).*\1$/.exec(trimmed) === null ? trimmed : trimmed.slice(1, -1).trim();
}
