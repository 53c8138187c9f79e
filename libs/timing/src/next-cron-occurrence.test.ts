import { describe, expect, test } from "vitest";
import { occurrencesIn, zoneNames } from "./arbitrary-rules.test-support.ts";
import type { CronRule } from "./rule.ts";

/** The first occurrences at or after `from`, as `2026-03-08T07:00Z`. */
function firstOccurrences(cronExpression: string, timezone: string, from: string, count: number): string[] {
  const rule: CronRule = { kind: "cron", cronExpression, timezone };
  return occurrencesIn(rule, Date.parse(from), Infinity, count).map((at) => `${new Date(at).toISOString().slice(0, 16)}Z`);
}

describe("clock changes", () => {
  test.each([
    [
      "a slot in a gap fires at the gap's end",
      "30 2 * * *",
      "America/New_York",
      "2026-03-08T00:00Z",
      ["2026-03-08T07:00Z", "2026-03-09T06:30Z"],
    ],
    [
      "also when it is one of several hours",
      "30 2,23 * * *",
      "America/New_York",
      "2026-03-07T17:00Z",
      ["2026-03-08T04:30Z", "2026-03-08T07:00Z", "2026-03-09T03:30Z"],
    ],
    [
      "also with steps",
      "0 */2 * * *",
      "America/New_York",
      "2026-03-08T05:00Z",
      ["2026-03-08T05:00Z", "2026-03-08T07:00Z", "2026-03-08T08:00Z"],
    ],
    [
      "also at midnight, where the day must not vanish",
      "0 0 * * *",
      "Africa/Cairo",
      "2026-04-23T00:00Z",
      ["2026-04-23T22:00Z", "2026-04-24T21:00Z"],
    ],
    ["also at midnight in a list", "26 0,12 * * *", "America/Havana", "2031-03-09T00:00Z", ["2031-03-09T05:00Z", "2031-03-09T16:26Z"]],
    ["also in a gap of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T10:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]],
    [
      "two slots that come to lie on one instant are one occurrence",
      "0 2,3 * * *",
      "America/New_York",
      "2026-03-08T05:00Z",
      ["2026-03-08T07:00Z", "2026-03-09T06:00Z"],
    ],
    [
      "a slot that shows twice fires at its first showing",
      "30 1 * * *",
      "America/New_York",
      "2026-11-01T04:00Z",
      ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
    ],
    [
      "also when it is one of several hours",
      "30 1,23 * * *",
      "America/New_York",
      "2026-11-01T04:00Z",
      ["2026-11-01T05:30Z", "2026-11-02T04:30Z"],
    ],
    [
      "also with steps",
      "*/20 2,23 * * *",
      "Europe/Berlin",
      "2029-10-27T22:00Z",
      ["2029-10-28T00:00Z", "2029-10-28T00:20Z", "2029-10-28T00:40Z", "2029-10-28T22:00Z"],
    ],
    [
      "also when half an hour repeats",
      "45 1 * * *",
      "Australia/Lord_Howe",
      "2026-04-04T10:00Z",
      ["2026-04-04T14:45Z", "2026-04-05T15:15Z"],
    ],
    ["also when the search starts within the repetition", "*/20 1 * * *", "America/New_York", "2026-11-01T06:10Z", ["2026-11-02T06:00Z"]],
    [
      "a slot right after a skipped day is not skipped",
      "0 0,12 * * *",
      "Pacific/Apia",
      "2011-12-29T10:00Z",
      ["2011-12-29T10:00Z", "2011-12-29T22:00Z", "2011-12-30T10:00Z"],
    ],
    [
      "a day that the zone skipped altogether has no occurrence",
      "0 9 * * *",
      "Pacific/Apia",
      "2011-12-29T10:00Z",
      ["2011-12-29T19:00Z", "2011-12-30T19:00Z"],
    ],
    [
      "every hour follows real time through a gap",
      "0 * * * *",
      "America/New_York",
      "2026-03-08T06:00Z",
      ["2026-03-08T06:00Z", "2026-03-08T07:00Z", "2026-03-08T08:00Z"],
    ],
    [
      "every hour follows real time through a repetition",
      "0 * * * *",
      "America/New_York",
      "2026-11-01T05:00Z",
      ["2026-11-01T05:00Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    ],
    [
      "every hour may be written as a range",
      "30 0-23 * * *",
      "America/New_York",
      "2026-11-01T05:00Z",
      ["2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-01T07:30Z"],
    ],
  ])("%s: %s %s", (_, cronExpression, timezone, from, expected) => {
    expect(firstOccurrences(cronExpression, timezone, from, expected.length)).toEqual(expected);
  });

  test("every quarter of an hour fires through a repetition, without a hole and without a double", () => {
    const quarters = Array.from(
      { length: 8 },
      (_, index) => new Date(Date.UTC(2026, 10, 1, 5, 15 * index)).toISOString().slice(0, 16) + "Z",
    );
    expect(firstOccurrences("*/15 * * * *", "America/New_York", "2026-11-01T05:00Z", 8)).toEqual(quarters);
  });

  test.each(zoneNames)("a daily schedule fires once on every local day of a year in %s", (timezone) => {
    const dayIn = new Intl.DateTimeFormat("en-CA", { timeZone: timezone, dateStyle: "short" });
    for (const cronExpression of ["0 0 * * *", "30 1 * * *", "15 2 * * *", "59 23 * * *"]) {
      const occurrences = occurrencesIn({ kind: "cron", cronExpression, timezone }, Date.UTC(2025, 11, 30), Date.UTC(2027, 0, 3));
      const days = occurrences.map((at) => dayIn.format(at)).filter((day) => day.startsWith("2026-"));
      expect(days).toHaveLength(365);
      expect(new Set(days).size).toBe(365);
    }
  });
});

describe("expressions", () => {
  test.each([
    [
      "6 fields start with the second",
      "*/20 * * * * *",
      "2026-06-01T12:00Z",
      ["2026-06-01T12:00Z", "2026-06-01T12:00Z", "2026-06-01T12:00Z", "2026-06-01T12:01Z"],
    ],
    ["7 fields end with the year", "0 0 0 1 1 * 2028", "2026-06-01T12:00Z", ["2028-01-01T00:00Z"]],
    [
      "months and days have names",
      "0 0 * JUL MON-TUE",
      "2026-06-01T12:00Z",
      ["2026-07-06T00:00Z", "2026-07-07T00:00Z", "2026-07-13T00:00Z"],
    ],
    ["7 is Sunday, as 0 is", "0 0 * * 7", "2026-06-01T12:00Z", ["2026-06-07T00:00Z"]],
    ["L is the last day of the month", "0 0 L * *", "2026-02-01T00:00Z", ["2026-02-28T00:00Z", "2026-03-31T00:00Z"]],
    ["LW is its last weekday", "0 0 LW * *", "2026-02-01T00:00Z", ["2026-02-27T00:00Z"]],
    ["15W is the weekday nearest to the 15th", "0 0 15W * *", "2026-03-01T00:00Z", ["2026-03-16T00:00Z"]],
    ["# counts weekdays of a month", "0 0 * * MON#2", "2026-06-01T12:00Z", ["2026-06-08T00:00Z", "2026-07-13T00:00Z"]],
    ["5L is the last Friday", "0 0 * * 5L", "2026-06-01T12:00Z", ["2026-06-26T00:00Z"]],
    ["? is *", "0 0 ? * 1", "2026-06-02T12:00Z", ["2026-06-08T00:00Z"]],
    ["@hourly and its like are known", "@hourly", "2026-06-01T12:30Z", ["2026-06-01T13:00Z"]],
    [
      "day of month and day of week are alternatives",
      "0 0 13 * FRI",
      "2026-06-01T12:00Z",
      ["2026-06-05T00:00Z", "2026-06-12T00:00Z", "2026-06-13T00:00Z"],
    ],
    ["+ requires both", "0 0 13 * +FRI", "2026-06-01T12:00Z", ["2026-11-13T00:00Z"]],
    ["February 29th waits for the leap year", "0 0 29 2 *", "2026-06-01T12:00Z", ["2028-02-29T00:00Z"]],
  ])("%s: %s", (_, cronExpression, from, expected) => {
    expect(firstOccurrences(cronExpression, "Etc/UTC", from, expected.length)).toEqual(expected);
  });

  test.each(["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/UCT", "Universal", "utc"])("%s is UTC", (timezone) => {
    expect(firstOccurrences("30 2 * * *", timezone, "2026-03-08T00:00Z", 2)).toEqual(["2026-03-08T02:30Z", "2026-03-09T02:30Z"]);
  });
});
