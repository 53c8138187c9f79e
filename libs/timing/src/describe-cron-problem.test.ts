import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileCronPattern } from "./cron-pattern.ts";
import { describeCronProblem } from "./describe-cron-problem.ts";

const isCompiled = (expression: string): boolean => {
  try {
    compileCronPattern(expression);
    return true;
  } catch {
    return false;
  }
};

describe("a field that cannot be read is named with what it holds and what it may hold", () => {
  test.each([
    [
      "61 * * * *",
      'minute is "61"; allowed: 0–59. Besides single values: *, lists (1,15), ranges from low to high (1-5) and steps of at least 1',
    ],
    ["61 24 * * *", 'minute is "61"; allowed: 0–59. hour is "24"; allowed: 0–23. Besides '],
    ["0 0 L-31 * *", 'day of month is "L-31"; allowed: 1–31, L (last day), L-3 (three days before the last), LW '],
    ["0 9 * * 8", 'day of week is "8"; allowed: 0–7 or SUN–SAT (0 and 7 are Sunday), MON#2 (second Monday), FRIL (last Friday). '],
    ["* * * * * * 10000", 'year is "10000"; allowed: 1–9999. '],
  ])("%s", (expression, message) => expect(describeCronProblem(expression)).toContain(message));

  test("a field that is right is not named beside one that is wrong", () => {
    expect(describeCronProblem("61 0 L-3,15 * MON#2")).toMatch(/^minute is "61"; allowed: 0–59\. Besides /);
  });

  test("nothing is suggested where nothing is obvious", () => {
    expect(describeCronProblem("61 0 * * *")).not.toContain("Did you mean");
    expect(describeCronProblem("61 22-5 * * *")).not.toContain("Did you mean");
  });
});

describe("the whole expression is suggested where it is obvious", () => {
  test.each([
    ["*/0 * * * *", "* * * * *", 'Every minute is "*" or "*/1"'],
    ["10-20/0 * * * *", "10-20 * * * *", ""],
    ["60 * * * *", "0 * * * *", '"0" is every full hour'],
    ["60 * * * * *", "0 * * * * *", '"0" is every full minute'],
    ["0 24 * * *", "0 0 * * *", "Midnight is hour 0"],
    ["60 24 * * *", "0 0 * * *", '"0" is every full hour. Midnight is hour 0'],
    ["0 9-24 * * *", "0 9-23 * * *", ""],
    ["5-1 * * * *", "5-59,0-1 * * * *", ""],
    ["0 22-5 * * *", "0 22-23,0-5 * * *", ""],
    ["0 23-5 * * *", "0 23,0-5 * * *", ""],
    ["0 22-4/2 * * *", "0 22,0,2,4 * * *", ""],
    ["0 9 28-3 * *", "0 9 28-31,1-3 * *", ""],
    ["0 9 * NOV-FEB *", "0 9 * NOV-DEC,JAN-FEB *", ""],
    ["0 9 * * FRI-MON", "0 9 * * FRI-SAT,SUN-MON", ""],
    ["0 9 * * 5-1", "0 9 * * 5-6,0-1", ""],
    ["0/5 * * * *", "*/5 * * * *", ""],
    ["5/15 22-2 * * *", "5-59/15 22-23,0-2 * * *", ""],
    ["/5 * * * *", "*/5 * * * *", ""],
    ["H/15 * * * *", "*/15 * * * *", ""],
    ["H(0-29)/10 * * * *", "0-29/10 * * * *", ""],
    ["0 0 L-0 * *", "0 0 L * *", ""],
    ["0 9 * * MUN", "0 9 * * MON", ""],
    ["0 9 * * MONDAY-FRIDAY", "0 9 * * MON-FRI", ""],
    ["0 9 * * tues,thurs", "0 9 * * TUE,THU", ""],
    ["0 9 * * FRIDAYL", "0 9 * * FRIL", ""],
    ["0 9 * * FRIDAY-MONDAY", "0 9 * * FRI-SAT,SUN-MON", ""],
    ["0 9 * JANUARY *", "0 9 * JAN *", ""],
    ["0 9 * FEBUARY,SEPT *", "0 9 * FEB,SEP *", ""],
  ])("%s", (expression, meant, note) => {
    const suggestion = `. Did you mean "${meant}"?${note === "" ? "" : ` ${note}`}`;
    expect(describeCronProblem(expression)).toMatch(new RegExp(`${RegExp.escape(suggestion)}$`));
  });

  test.each([
    ["0 9 * * 1, 2", 'has a blank inside a field; did you mean "0 9 * * 1,2"?'],
    ["0 9 * * MON - FRI", 'has a blank inside a field; did you mean "0 9 * * MON-FRI"?'],
    ["* / 5 * * * *", 'has a blank inside a field; did you mean "*/5 * * * *"?'],
    ["0 9 * * 1,2,", 'has a comma with nothing beside it; did you mean "0 9 * * 1,2"?'],
    ["0 9 * * 1–5", 'has a dash that is not "-"; did you mean "0 9 * * 1-5"?'],
    [`"0 9 * * 1, 2"`, 'has quotes around it and has a blank inside a field; did you mean "0 9 * * 1,2"?'],
    [
      "0 9 * * * /usr/bin/backup",
      'ends in "/usr/bin/backup", which looks like a crontab\'s command; the cron expression alone is "0 9 * * *"',
    ],
    ["*/5 * * * * root php artisan schedule:run", 'the cron expression alone is "*/5 * * * *"'],
    ["0 0 9 * * monday", 'Did you mean "0 0 9 * * MON"?'],
    [
      "0 9 * *",
      "has 4 fields; a cron expression has 5 (minute, hour, day of month, month, day of week), 6 (second first) or 7 (year last)",
    ],
    ["0 9 * *", '. On every day of the week it is "0 9 * * *"'],
    ["1 2 3 4 5 6 7 8", "has 8 fields; a cron expression has 5 "],
  ])("%s: %s", (expression, message) => expect(describeCronProblem(expression)).toContain(message));
});

describe("what no cron expression says is pointed to where it is said", () => {
  test.each([
    ["*/90 * * * *", 'For every 90 minutes use kind "interval" with interval_seconds 5400'],
    ["*/90 * * * * *", 'For every 90 seconds use kind "interval" with interval_seconds 90'],
    ["0 */36 * * *", 'For every 36 hours use kind "interval" with interval_seconds 129600'],
    ["0 0 */45 * *", 'For every 45 days use kind "interval" with interval_seconds 3888000'],
    ["@every 5m", '"@every 5m" is a fixed period; use kind "interval" with interval_seconds 300'],
    ["@every 1h30m", 'use kind "interval" with interval_seconds 5400'],
    ["rate(5 minutes)", 'use kind "interval" with interval_seconds 300'],
    ["rate(1 day)", 'use kind "interval" with interval_seconds 86400'],
    ["every 2 hours", 'use kind "interval" with interval_seconds 7200'],
    ["2026-06-02T00:00:00", 'is a date; for a single run use kind "once" with run_at'],
    ["at(2026-06-02T00:00:00)", 'is a date; for a single run use kind "once" with run_at'],
    ["CRON_TZ=Europe/Berlin 0 9 * * *", 'names a zone; give "Europe/Berlin" as timezone, and "0 9 * * *" here'],
    ["everyFiveMinutes()", 'is a frequency; give it as frequency, or as the cron expression "*/5 * * * *"'],
    ["daily", 'or as the cron expression "0 2 * * *". The nickname "@daily" is "0 0 * * *"'],
    ["@reboot", '"@reboot" waits for a machine to start, and nothing here knows when that is; known nicknames are @hourly, '],
    ["H 3 * * *", "H is Jenkins' word for a value that it chooses; choose one yourself"],
    ["0 9 * MON *", "MON is a day of week"],
    ["0 9 * * JAN", "JAN is a month"],
    ["0 9 * * JAN-MAR", "JAN-MAR is a month"],
    ["0 9 * * L", "L by itself is a day of month; the last Saturday is SATL"],
    ["0 9 0 * *", "The lowest day of month is 1"],
  ])("%s", (expression, message) => expect(describeCronProblem(expression)).toContain(message));

  test("a period longer than any interval, or shorter, is given no number", () => {
    expect(describeCronProblem("0 0 */400 * *")).toMatch(/For every 400 days use kind "interval"$/);
    expect(describeCronProblem("@every 0.5s")).toMatch(/is a fixed period; use kind "interval"$/);
  });
});

describe("notations from elsewhere are translated", () => {
  test.each([
    ["24:00", 'is a time of day; as a cron expression, every day at that time is "0 0 * * *"'],
    ["9:30", 'is "30 9 * * *"'],
    ["12:15 am", 'is "15 0 * * *"'],
    ["9pm", 'is "0 21 * * *"'],
    ["25:00", "is no time of day, and no cron expression either; "],
    [
      "@dayly",
      '"@dayly" is not a known nickname; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually; did you mean "@daily"?',
    ],
    ["@biweekly", '@annually. For a fixed period use kind "interval"'],
    ["annually", 'lacks its "@"; did you mean "@annually"?'],
    ["cron(0 10 * * ? *)", 'is a call; the cron expression alone is "0 10 * * *"'],
    ["cron(0/15 10 ? * 2-6 *)", 'is "*/15 10 * * MON-FRI"'],
    ["cron(0 10 ? * 6L 2027)", 'is "0 0 10 * * FRIL 2027"'],
    ["cron(0 10 ? * 3#2 *)", 'is "0 10 * * TUE#2"'],
    ["cron(0 10 L-3 * ? *)", 'is "0 10 L-3 * *"'],
    ["cron('0 9 * * 1')", 'is "0 9 * * 1"'],
    ["cron(0 10)", "is a call; a cron expression stands alone, with 5 fields "],
  ])("%s", (expression, message) => expect(describeCronProblem(expression)).toContain(message));
});

test("an expression that is suggested can be compiled", () => {
  const word = fc.constantFrom(
    "*",
    "?",
    "H",
    "L",
    "LW",
    "W",
    "MON",
    "SUNDAY",
    "JAN",
    "SEPT",
    "MUN",
    "FRIL",
    "0",
    "1",
    "5",
    "7",
    "12",
    "23",
    "24",
    "31",
    "60",
  );
  const value = fc
    .tuple(word, fc.constantFrom("", "-", "/", "#", ","), word)
    .map(([left, sign, right]) => (sign === "" ? left : left + sign + right));
  const range = fc.tuple(value, fc.constantFrom("", "/0", "/1", "/2", "/90", ",", " ,3")).map(([base, end]) => base + end);
  const expression = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant("*") }, { weight: 1, arbitrary: range }), {
    minLength: 4,
    maxLength: 8,
  });
  fc.assert(
    fc.property(expression, (parts) => {
      const text = parts.join(" ");
      if (isCompiled(text)) return;
      const problem = describeCronProblem(text);
      const [, meant] = /did you mean "([^"]*)"\?/i.exec(problem) ?? [];
      expect(problem).toMatch(/allowed: |a cron expression has 5 |did you mean /);
      expect(meant === undefined || isCompiled(meant)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
