import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import type { Calendar } from "./calendar.ts";
import { countOccurrences } from "./count-occurrences.ts";
import type { CronRule, IntervalRule, Rule } from "./rule.ts";

const dayMs = 86_400_000;
const from = Date.UTC(2026, 0, 1);
const newYork = (cronExpression: string, fields: Partial<CronRule> = {}): CronRule => ({
  kind: "cron",
  cronExpression,
  timezone: "America/New_York",
  ...fields,
});

test.for([
  ["every minute of a year in UTC", { kind: "cron", cronExpression: "* * * * *", timezone: "UTC" }, 365 * 1_440],
  ["every minute of a year in a zone, whose two clock changes cancel out", newYork("* * * * *"), 365 * 1_440],
  ["every second of a year", { kind: "cron", cronExpression: "* * * * * *", timezone: "UTC" }, 365 * 86_400],
  ["quarter hours of office days", newYork("*/15 9-16 * * MON-FRI"), 261 * 32],
  ["once a day", newYork("30 2 * * *"), 365],
  ["an hour that the spring day does not have, dropped", newYork("0,30 2 * * *", { dstGap: "skip" }), 365 * 2 - 2],
  ["an hour that the autumn day has twice, at both", newYork("*/20 1 * * *", { dstOverlap: "both" }), 365 * 3 + 3],
  ["the last days of months", { kind: "cron", cronExpression: "0 */6 L * *", timezone: "UTC" }, 12 * 4],
  ["a single year of an expression that names years", { kind: "cron", cronExpression: "0 0 * * * * 2025", timezone: "UTC" }, 0],
  [
    "an interval that does not divide a day",
    { kind: "interval", intervalSeconds: 7, anchorAt: from - 1 },
    Math.floor((365 * 86_400_000) / 7_000),
  ],
  [
    "an interval whose first occurrence is one interval after its anchor",
    { kind: "interval", intervalSeconds: 86_400, anchorAt: from },
    364,
  ],
  ["a single occurrence", { kind: "once", runAt: from }, 1],
  ["a single occurrence at the end, which is not included", { kind: "once", runAt: from + 365 * dayMs }, 0],
] as [string, Rule, number][])("counts %s", ([, rule, count]) => {
  expect(countOccurrences(rule, from, from + 365 * dayMs)).toBe(count);
});

test("both bounds of a rule are inclusive, the stretch's end is not", () => {
  const bounded: IntervalRule = {
    kind: "interval",
    intervalSeconds: 60,
    anchorAt: from - 60_000,
    startsAt: from + 60_000,
    endsAt: from + 180_000,
  };
  expect(countOccurrences(bounded, 0, from + dayMs)).toBe(3);
  expect(countOccurrences(bounded, from + 60_001, from + 180_000)).toBe(1);
  expect(countOccurrences(bounded, from + dayMs, from)).toBe(0);
  expect(countOccurrences(newYork("* * * * *", { startsAt: from + 60_000, endsAt: from + 180_000 }), 0, from + dayMs)).toBe(3);
});

test("holes that calendars make are not counted", () => {
  const holidays: Calendar = {
    name: "holidays",
    kind: "blackout",
    timezone: "America/New_York",
    entries: [{ kind: "yearly", from: 101, to: 101 }],
  };
  expect(countOccurrences(newYork("0 * * * *", { calendars: [holidays] }), from + 5 * 3_600_000, from + 5 * 3_600_000 + 3 * dayMs)).toBe(
    48,
  );
});

test("counting is walking, without the walk: any rule, any stretch, through clock changes", () => {
  const zoneRules = fc.tuple(arbitraryRule, fc.constantFrom("run_at_gap_end", "shift", "skip"), fc.constantFrom("first", "last", "both"));
  fc.assert(
    fc.property(zoneRules, arbitraryInstant, fc.nat(6 * dayMs), fc.nat(999), ([rule, dstGap, dstOverlap], start, lengthMs, ms) => {
      const policied: Rule = rule.kind === "cron" ? { ...rule, dstGap: dstGap as "skip", dstOverlap: dstOverlap as "both" } : rule;
      const begin = start + ms;
      expect(countOccurrences(policied, begin, begin + lengthMs)).toBe(occurrencesIn(policied, begin, begin + lengthMs).length);
    }),
    { numRuns: 400 },
  );
});

test("two neighbouring stretches have as many occurrences as both together", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryInstant, fc.nat(400 * dayMs), fc.nat(400 * dayMs), (rule, start, firstMs, secondMs) => {
      const [middle, end] = [start + firstMs, start + firstMs + secondMs];
      expect(countOccurrences(rule, start, middle) + countOccurrences(rule, middle, end)).toBe(countOccurrences(rule, start, end));
    }),
    { numRuns: 300 },
  );
});
