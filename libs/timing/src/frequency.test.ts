import { describe, expect, test } from "vitest";
import { compileCronPattern } from "./cron-pattern.ts";
import { compileFrequency, frequencies } from "./frequency.ts";

function problemOf(text: unknown): string {
  const reading = compileFrequency(text);
  if ("value" in reading) throw new Error(`${String(text)} compiled to ${reading.value}`);
  return `frequency ${reading.problem}`;
}

describe("what a frequency stands for", () => {
  test.each([
    ["hourly", "0 * * * *"],
    ["2hours", "0 */2 * * *"],
    ["4hours", "0 */4 * * *"],
    ["6hours", "0 */6 * * *"],
    ["12hours", "0 2,14 * * *"],
    ["daily", "0 2 * * *"],
    ["weekly", "0 2 * * 0"],
  ])("the command scheduler's %s is %s", (word, expression) => {
    expect(compileFrequency(word)).toEqual({ value: expression });
  });

  test.each([
    ["everySecond()", "* * * * * *"],
    ["everyTwoSeconds()", "*/2 * * * * *"],
    ["everyFiveSeconds()", "*/5 * * * * *"],
    ["everyTenSeconds()", "*/10 * * * * *"],
    ["everyFifteenSeconds()", "*/15 * * * * *"],
    ["everyTwentySeconds()", "*/20 * * * * *"],
    ["everyThirtySeconds()", "*/30 * * * * *"],
    ["everyMinute()", "* * * * *"],
    ["everyTwoMinutes()", "*/2 * * * *"],
    ["everyThreeMinutes()", "*/3 * * * *"],
    ["everyFourMinutes()", "*/4 * * * *"],
    ["everyFiveMinutes()", "*/5 * * * *"],
    ["everyTenMinutes()", "*/10 * * * *"],
    ["everyFifteenMinutes()", "*/15 * * * *"],
    ["everyThirtyMinutes()", "*/30 * * * *"],
    ["hourly()", "0 * * * *"],
    ["hourlyAt(17)", "17 * * * *"],
    ["everyOddHour()", "0 1-23/2 * * *"],
    ["everyEvenHour(30)", "30 0-22/2 * * *"],
    ["everyTwoHours()", "0 */2 * * *"],
    ["everyThreeHours()", "0 */3 * * *"],
    ["everyFourHours()", "0 */4 * * *"],
    ["everySixHours(15)", "15 */6 * * *"],
    ["daily()", "0 0 * * *"],
    ["dailyAt('13:00')", "0 13 * * *"],
    ["dailyAt('8:05')", "5 8 * * *"],
    ["dailyAt('13')", "0 13 * * *"],
    ["twiceDaily()", "0 1,13 * * *"],
    ["twiceDaily(2, 14)", "0 2,14 * * *"],
    ["twiceDailyAt(1, 13, 15)", "15 1,13 * * *"],
    ["weekly()", "0 0 * * 0"],
    ["weeklyOn(1, '8:00')", "0 8 * * 1"],
    ["weeklyOn(7)", "0 0 * * 7"],
    ["monthly()", "0 0 1 * *"],
    ["monthlyOn(4, '15:00')", "0 15 4 * *"],
    ["twiceMonthly(1, 16, '13:00')", "0 13 1,16 * *"],
    ["lastDayOfMonth('15:00')", "0 15 L * *"],
    ["quarterly()", "0 0 1 1-12/3 *"],
    ["quarterlyOn(4, '14:00')", "0 14 4 1-12/3 *"],
    ["yearly()", "0 0 1 1 *"],
    ["yearlyOn(6, 1, '17:00')", "0 17 1 6 *"],
  ])("Laravel's %s is %s", (call, expression) => {
    expect(compileFrequency(call)).toEqual({ value: expression });
  });

  test.each(["dailyAt('13:30')", 'dailyAt("13:30")', "dailyAt(13:30)", "  dailyAt ( '13:30' )  "])("%s may be written so", (call) => {
    expect(compileFrequency(call)).toEqual({ value: "30 13 * * *" });
  });

  test("a method needs no parentheses where no word of the command scheduler has its name", () => {
    const words = new Set(frequencies.filter(({ namespace }) => namespace === "command").map(({ name }) => name));
    const calls = frequencies.filter(({ form, name }) => form === `${name}()` && !words.has(name));
    expect(calls.length).toBeGreaterThan(20);
    for (const { name, form } of calls) expect(compileFrequency(name)).toEqual(compileFrequency(form));
  });
});

describe("what is refused, and what the user is told", () => {
  test.each([
    ["everyFiveMinute", 'frequency is "everyFiveMinute"; did you mean "everyFiveMinutes()"?'],
    ["everyfiveminutes()", 'did you mean "everyFiveMinutes()"?'],
    ["every5Minutes", 'did you mean "everyFiveMinutes()"?'],
    ["1minute", 'did you mean "everyMinute()"?'],
    ["3hours", 'did you mean "everyThreeHours()"?'],
    ["2hours()", 'did you mean "2hours"?'],
    ["everyDay", 'did you mean "daily()"?'],
    ["at('13:00')", `did you mean "dailyAt('13:00')"?`],
    ["dialy", 'did you mean "daily" (0 2 * * *) or "daily()" (0 0 * * *)?'],
    ["hourlyAt(60)", 'frequency is "hourlyAt(60)"; its minute is "60", allowed: 0–59. It is written like "hourlyAt(17)"'],
    ["hourlyAt", 'frequency is "hourlyAt"; its minute is missing, allowed: 0–59. It is written like "hourlyAt(17)"'],
    ["dailyAt('25:00')", `its time is "25:00", allowed: 0:00–23:59, where 0:00 is midnight. It is written like "dailyAt('13:00')"`],
    ["dailyAt('8:5')", 'its time is "8:5", allowed: '],
    ["dailyAt('1pm')", 'its time is "1pm", allowed: '],
    ["weeklyOn(8, '8:00')", 'its day of the week is "8", allowed: 0–7, where 0 and 7 are Sunday.'],
    ["yearlyOn(13, 40, '17:00')", 'its month is "13", allowed: 1–12; its day is "40", allowed: 1–31.'],
    ["twiceDaily(,13)", 'its first hour is "", allowed: 0–23.'],
    ["hourlyAt(-1)", 'its minute is "-1", allowed: 0–59.'],
    ["hourlyAt(0, 30)", 'hourlyAt takes one argument, like "hourlyAt(17)"'],
    ["daily('13:00')", `daily takes no argument, but there is "dailyAt('13:00')"`],
    ["twiceDaily(1, 13, 15)", 'twiceDaily takes at most 2 arguments, but there is "twiceDailyAt(1, 13, 15)"'],
    ["weekdays()", "one frequency is read, and nothing that narrows it. Say it all in cron_expression, like "],
    ["daily()->at('13:00')", "one frequency is read, and nothing that narrows it."],
    ["*/5 * * * *", 'frequency is "*/5 * * * *"; a cron expression is given as cron_expression'],
    ["@daily", "a cron expression is given as cron_expression"],
    ["cron('* * * * *')", "a cron expression is given as cron_expression"],
    ["fortnightly", 'frequency is "fortnightly"; known are hourly, 2hours, 4hours, 6hours, 12hours, daily, weekly and '],
    ["everyNineMinutes", 'frequency is "everyNineMinutes"; known are '],
    ["5hours", 'frequency is "5hours"; known are '],
    ["toString", 'frequency is "toString"; known are '],
    ["", 'frequency is ""; known are '],
    [5, 'frequency is 5; it must be a text like "daily" or '],
    [null, "frequency is null; it must be a text like "],
  ])("the frequency %j", (text, message) => expect(problemOf(text)).toContain(message));

  test("a long text is cut where it is repeated", () => {
    expect(problemOf("x".repeat(100_000)).length).toBeLessThan(500);
  });
});

describe("the list for documents", () => {
  test.each(frequencies)("$form compiles to the expression beside it, which is a valid one", ({ form, cronExpression }) => {
    expect(compileFrequency(form)).toEqual({ value: cronExpression });
    expect(() => compileCronPattern(cronExpression)).not.toThrow();
  });

  test("no form is there twice", () => {
    expect(new Set(frequencies.map(({ form }) => form)).size).toBe(frequencies.length);
  });
});
