import { describe, expect, test } from "vitest";
import { occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { enumerateMinutes, labelAt } from "./enumerate-minutes.test-support.ts";
import type { CronRule } from "./rule.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

test.each([
  ["America/New_York", "2026-03-08T07:00Z"],
  ["America/New_York", "2026-11-01T06:00Z"],
  ["Australia/Lord_Howe", "2026-04-04T15:00Z"],
  ["Antarctica/Troll", "2026-03-29T01:00Z"],
  ["Asia/Kathmandu", "2026-06-01T00:00Z"],
  ["Pacific/Apia", "2011-12-30T10:00Z"],
])("minutes are enumerated as Intl shows them one by one: %s around %s", (timezone, change) => {
  const [from, to] = [Date.parse(change) - dayMs, Date.parse(change) + dayMs];
  const everyHour: CronRule = { kind: "cron", cronExpression: "*/7 * * * *", timezone };
  const minutes = Array.from({ length: (to - from) / minuteMs }, (_, index) => from + index * minuteMs);
  expect(enumerateMinutes(everyHour, from, to)).toEqual(minutes.filter((at) => (labelAt(timezone, at) % 60) % 7 === 0));
});

describe("the enumerator and the library read an expression alike, and as its author meant it", () => {
  test.each([
    ["L is the last day", "0 0 L * *", "2028-02-01", ["2028-02-29", "2028-03-31"]],
    ["L-3 is three days before the last", "0 0 L-3 * *", "2027-02-01", ["2027-02-25", "2027-03-28"]],
    ["L-30 exists in months of 31 days only", "0 0 L-30 * *", "2026-08-02", ["2026-10-01", "2026-12-01"]],
    ["L-28 exists in February in leap years only", "0 0 L-28 2,3 *", "2027-02-01", ["2027-03-03", "2028-02-01", "2028-03-03"]],
    ["L and L-n go into lists", "0 0 1,L-1,L * *", "2026-11-01", ["2026-11-01", "2026-11-29", "2026-11-30"]],
    ["LW is the last workday", "0 0 LW * *", "2026-05-01", ["2026-05-29", "2026-06-30"]],
    ["1W does not leave the month", "0 0 1W * *", "2026-08-01", ["2026-08-03", "2026-09-01"]],
    ["31W does not leave the month", "0 0 31W * *", "2026-05-01", ["2026-05-29", "2026-07-31"]],
    [
      "15W is Friday for a Saturday and Monday for a Sunday",
      "0 0 15W * *",
      "2026-08-01",
      ["2026-08-14", "2026-09-15", "2026-10-15", "2026-11-16"],
    ],
    ["MON#5 skips months of four Mondays", "0 0 * * MON#5", "2026-06-01", ["2026-06-29", "2026-08-31"]],
    ["FRIL, 5L and FRI#L are the last Friday", "0 0 * * FRIL,5L,FRI#L", "2026-06-01", ["2026-06-26", "2026-07-31"]],
    ["1-2#1 counts each weekday for itself", "0 0 * * 1-2#1", "2026-09-01", ["2026-09-01", "2026-09-07", "2026-10-05", "2026-10-06"]],
    [
      "FRI-SUN goes over the end of the week, and 7 is Sunday",
      "0 0 * * FRI-SUN,7",
      "2026-06-01",
      ["2026-06-05", "2026-06-06", "2026-06-07"],
    ],
    [
      "*/2 counts weekdays from Sunday",
      "0 0 * * */2",
      "2026-06-07",
      ["2026-06-07", "2026-06-09", "2026-06-11", "2026-06-13", "2026-06-14"],
    ],
    ["*/10 counts days from the first", "0 0 */10 * ?", "2026-06-02", ["2026-06-11", "2026-06-21", "2026-07-01"]],
    ["restricted day fields are alternatives", "0 0 13 * FRI", "2026-11-07", ["2026-11-13", "2026-11-20", "2026-11-27"]],
    ["also where one of them restricts nothing in effect", "0 0 1-31 * MON", "2026-06-01", ["2026-06-01", "2026-06-02", "2026-06-03"]],
    ["a plus asks for both", "0 0 13 * +FRI", "2026-02-01", ["2026-02-13", "2026-03-13", "2026-11-13"]],
    ["names in any case", "0 0 1 feb,Mar-MAY ?", "2027-01-01", ["2027-02-01", "2027-03-01", "2027-04-01", "2027-05-01"]],
    ["@monthly", "@monthly", "2026-12-02", ["2027-01-01", "2027-02-01"]],
    ["a year", "0 0 0 1 1,7 ? 2028-2029", "2026-06-01", ["2028-01-01", "2028-07-01", "2029-01-01", "2029-07-01"]],
  ])("%s: %s", (_, cronExpression, from, expected) => {
    const rule: CronRule = { kind: "cron", cronExpression, timezone: "Etc/UTC" };
    const days = expected.map((day) => Date.parse(day));
    const [start, end] = [Date.parse(from), (days.at(-1) ?? 0) + 1];
    expect(enumerateMinutes(rule, start, end)).toEqual(days);
    expect(occurrencesIn(rule, start, end)).toEqual(days);
  });
});
