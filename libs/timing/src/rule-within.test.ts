import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { ruleWithin } from "./rule-within.ts";

const dayMs = 86_400_000;
const from = Date.UTC(2026, 2, 8);
const to = from + 7 * dayMs;

test("a rule keeps its occurrences in the stretch", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryInstant, fc.integer({ min: 1, max: 3 * dayMs }), fc.nat(999), (rule, start, lengthMs, ms) => {
      const end = start + lengthMs;
      const shifted = rule.kind === "interval" ? { ...rule, anchorAt: rule.anchorAt + ms } : rule;
      const within = ruleWithin(shifted, { from: start, to: end, precisionMs: 1 });
      expect(within === null ? [] : occurrencesIn(within, start, end, 500)).toEqual(occurrencesIn(shifted, start, end, 500));
    }),
    { numRuns: 500 },
  );
});

test("to the second, an occurrence stays within its second", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryInstant, fc.integer({ min: 1, max: 3 * 86_400 }), fc.nat(999), (rule, start, seconds, ms) => {
      const end = start + seconds * 1_000;
      const shifted = rule.kind === "interval" ? { ...rule, anchorAt: rule.anchorAt + ms } : rule;
      const within = ruleWithin(shifted, { from: start, to: end, precisionMs: 1_000 });
      const inSeconds = (at: number) => Math.floor(at / 1_000);
      expect(within === null ? [] : occurrencesIn(within, start, end, 500).map(inSeconds)).toEqual(
        occurrencesIn(shifted, start, end, 500).map(inSeconds),
      );
    }),
    { numRuns: 500 },
  );
});

test("intervals that were created at different times of one phase become one rule", () => {
  const intervals = Array.from({ length: 50 }, (_, index) => ({
    kind: "interval" as const,
    intervalSeconds: 300,
    anchorAt: from - dayMs - index * 300_000 + index * 3,
    endsAt: to + dayMs,
  }));
  const within = intervals.map((rule) => ruleWithin(rule, { from, to, precisionMs: 1_000 }));
  expect(new Set(within.map((rule) => JSON.stringify(rule)))).toHaveLength(1);
});

test("a rule that has ended, has not begun or is of another day is nothing", () => {
  expect(ruleWithin({ kind: "once", runAt: to }, { from, to, precisionMs: 1 })).toBeNull();
  const cron = { kind: "cron" as const, cronExpression: "* * * * *", timezone: "UTC" };
  expect(ruleWithin({ ...cron, endsAt: from - 1 }, { from, to, precisionMs: 1 })).toBeNull();
  expect(ruleWithin({ ...cron, startsAt: to }, { from, to, precisionMs: 1 })).toBeNull();
});
