import { closestName, slipsAllowed } from "./closest-name.ts";
import { isAccepted } from "./cron-fields.ts";
import { compileFrequency } from "./frequency.ts";
import { quote } from "./quote.ts";
import { describeInterval } from "./suggest-cron-field.ts";

const expressionOfNickname = new Map([
  ["@hourly", "0 * * * *"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@weekly", "0 0 * * SUN"],
  ["@monthly", "0 0 1 * *"],
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"],
]);
const nicknames = [...expressionOfNickname.keys()];

const secondsOfUnit = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
]);

/** Notations that people bring along from elsewhere, each with the reader that says what to write here, or undefined when it does not know either. */
const readers: readonly ((expression: string) => string | undefined)[] = [
  readTimeOfDay,
  readInstant,
  readPeriod,
  readNickname,
  readZonePrefix,
  readCronCall,
  readFrequency,
];

/** Says what `expression` is and how to write it here, as a phrase that follows the field's name, when it is no cron expression but a notation that is known. */
export function recognizeNotation(expression: string): string | undefined {
  const trimmed = expression.trim();
  for (const read of readers) {
    const found = read(trimmed);
    if (found !== undefined) return `${quote(expression)} ${found}`;
  }
  return undefined;
}

/** "9:30" and "9:30 pm". At 24:00 one day ends and the next begins. */
function readTimeOfDay(expression: string): string | undefined {
  const [, hourText, minuteText = "0", half] = /^(\d{1,2})(?::(\d{2}))?\s*([ap]m)?$/i.exec(expression) ?? [];
  if (hourText === undefined || (half === undefined && !expression.includes(":"))) return undefined;
  const [hour, minute] = [Number(hourText), Number(minuteText)];
  const isTime = minute <= 59 && (half === undefined ? hour <= 23 || (hour === 24 && minute === 0) : hour >= 1 && hour <= 12);
  if (!isTime) return 'is no time of day, and no cron expression either; every day at 9:30 is "30 9 * * *"';
  const hourOfDay = half === undefined ? hour % 24 : (hour % 12) + (half.toLowerCase() === "pm" ? 12 : 0);
  return `is a time of day; as a cron expression, every day at that time is "${minute} ${hourOfDay} * * *"`;
}

function readInstant(expression: string): string | undefined {
  return /^\d{4}-\d{2}-\d{2}|^at\(/.test(expression) ? 'is a date; for a single run use kind "once" with run_at' : undefined;
}

/** Go's "@every 1h30m", the "rate(5 minutes)" of AWS, and plain "every 5 minutes" or "5m". */
function readPeriod(expression: string): string | undefined {
  const [, rate, every] = /^(?:rate\((.*)\)|(?:@?every\s+)?(.*))$/i.exec(expression) ?? [];
  const period = (rate ?? every ?? "").trim();
  const terms = [...period.matchAll(/(\d+(?:\.\d+)?)\s*(s|m|h|d)(?:ec(?:ond)?s?|in(?:ute)?s?|ours?|rs?|ays?)?\s*/gi)];
  if (terms.length === 0 || terms.map(([term]) => term).join("") !== period) return undefined;
  const seconds = terms.reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (secondsOfUnit.get(unit.toLowerCase()) ?? Number.NaN),
    0,
  );
  return `is a fixed period; ${describeInterval(seconds)}`;
}

function readNickname(expression: string): string | undefined {
  if (!expression.startsWith("@")) return undefined;
  if (/^@reboot$/i.test(expression)) {
    return `waits for a machine to start, and nothing here knows when that is; known nicknames are ${nicknames.join(", ")}`;
  }
  const meant = closestName(expression, nicknames, { slipsMax: slipsAllowed(expression, 5) });
  const hint = meant === undefined ? '. For a fixed period use kind "interval"' : `; did you mean "${meant}"?`;
  return `is not a known nickname; known are ${nicknames.join(", ")}${hint}`;
}

/** "CRON_TZ=Europe/Berlin 0 9 * * *" of crontabs and of Go. */
function readZonePrefix(expression: string): string | undefined {
  const [, timezone, rest = ""] = /^(?:CRON_)?TZ=(\S+)\s*(.*)$/i.exec(expression) ?? [];
  return timezone === undefined ? undefined : `names a zone; give ${quote(timezone)} as timezone, and ${quote(rest)} here`;
}

/** "cron(0 10 * * ? *)" of AWS: five fields and a year, the days of the week counted from 1 for Sunday. With five fields it is Laravel's, and the expression is ours. */
function readCronCall(expression: string): string | undefined {
  const [, , content] = /^cron\((["']?)(.*)\1\)$/i.exec(expression) ?? [];
  if (content === undefined) return undefined;
  const days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
  const fields = content.trim().replaceAll("?", "*").split(/\s+/);
  const year = fields.length === 6 ? fields.pop() : undefined;
  if (year !== undefined) {
    const ourDays = fields[4]?.replaceAll(/(?<![#/\d])[1-7](?!\d)/g, (day) => days[Number(day) - 1] ?? day) ?? "";
    fields.splice(4, 1, ourDays);
  }
  const parts = (year === undefined || year === "*" ? fields : ["0", ...fields, year]).map((part) => part.replace(/^0\//, "*/"));
  return isAccepted(parts)
    ? `is a call; the cron expression alone is "${parts.join(" ")}"`
    : "is a call; a cron expression stands alone, with 5 fields (minute, hour, day of month, month, day of week)";
}

/** A frequency, or a nickname without its "@". Some are both, and not always at the same time of day. */
function readFrequency(expression: string): string | undefined {
  const nickname = nicknames.find((known) => known === `@${expression.toLowerCase()}`);
  const reading = compileFrequency(expression);
  if ("problem" in reading) return nickname === undefined ? undefined : `lacks its "@"; did you mean "${nickname}"?`;
  const other = nickname === undefined ? "" : `. The nickname "${nickname}" is "${expressionOfNickname.get(nickname)}"`;
  return `is a frequency; give it as frequency, or as the cron expression "${reading.value}"${other}`;
}
