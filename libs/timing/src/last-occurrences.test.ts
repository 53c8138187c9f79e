import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { lastOccurrences } from "./last-occurrences.ts";
import type { Rule } from "./rule.ts";

const dayMs = 86_400_000;
const noon = Date.UTC(2026, 5, 1, 12);
const everySecond: Rule = { kind: "cron", cronExpression: "* * * * * *", timezone: "UTC" };
const yearly: Rule = { kind: "cron", cronExpression: "0 0 29 2 *", timezone: "UTC" };

test("the newest occurrences come oldest first; the end is not included, the beginning is", () => {
  expect(lastOccurrences(everySecond, { from: 0, to: noon, countMax: 3 })).toEqual([noon - 3_000, noon - 2_000, noon - 1_000]);
  expect(lastOccurrences(everySecond, { from: noon, to: noon + 2_000, countMax: 9 })).toEqual([noon, noon + 1_000]);
  expect(lastOccurrences(everySecond, { from: 0, to: noon + 0.5, countMax: 1 })).toEqual([noon]);
});

test("a rule with decades between its occurrences is found as well, and one that has ended long ago", () => {
  expect(lastOccurrences(yearly, { from: Date.UTC(2000, 0, 1), to: noon, countMax: 2 })).toEqual([
    Date.UTC(2020, 1, 29),
    Date.UTC(2024, 1, 29),
  ]);
  const ended: Rule = { ...everySecond, endsAt: Date.UTC(1990, 0, 1) };
  expect(lastOccurrences(ended, { from: 0, to: noon, countMax: 1 })).toEqual([Date.UTC(1990, 0, 1)]);
});

test("nothing asked for, or nothing there, is nothing", () => {
  expect(lastOccurrences(everySecond, { from: 0, to: noon, countMax: 0 })).toEqual([]);
  expect(lastOccurrences(everySecond, { from: noon, to: noon, countMax: 5 })).toEqual([]);
  expect(lastOccurrences({ kind: "once", runAt: noon }, { from: 0, to: noon, countMax: 5 })).toEqual([]);
});

test("they are the last of those a walk finds: any rule, any stretch, through clock changes", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryInstant, fc.nat(5 * dayMs), fc.integer({ min: 1, max: 40 }), (rule, from, lengthMs, countMax) => {
      const walked = occurrencesIn(rule, from, from + lengthMs);
      expect(lastOccurrences(rule, { from, to: from + lengthMs, countMax })).toEqual(walked.slice(-countMax));
    }),
    { numRuns: 400 },
  );
});
