import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { describeCronProblem } from "./describe-cron-problem.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { UnusableRuleError, type Rule } from "./rule.ts";

const noon = Date.UTC(2026, 5, 1, 12);
const hourMs = 3_600_000;

test("the k-th occurrence of an interval is anchor + k · interval, from k = 1, without drift", () => {
  const rule: Rule = { kind: "interval", intervalSeconds: 7, anchorAt: noon + 123 };
  expect(nextOccurrence(rule, noon - hourMs)).toBe(noon + 123 + 7_000);
  expect(nextOccurrence(rule, noon + 123)).toBe(noon + 123 + 7_000);
  expect(nextOccurrence(rule, noon + 123 + 7_000 - 1)).toBe(noon + 123 + 7_000);
  expect(nextOccurrence(rule, noon + 123 + 7_000)).toBe(noon + 123 + 14_000);
  expect(nextOccurrence(rule, noon + 123 + 7_000 * 1_000_000_000)).toBe(noon + 123 + 7_000 * 1_000_000_001);
});

test("an interval of a day keeps 24 hours across a clock change, a daily cron keeps the wall time", () => {
  const from = Date.parse("2026-03-07T14:00:00Z");
  const interval: Rule = { kind: "interval", intervalSeconds: 86_400, anchorAt: from };
  const cron: Rule = { kind: "cron", cronExpression: "0 9 * * *", timezone: "America/New_York" };
  expect(nextOccurrence(interval, from)).toBe(Date.parse("2026-03-08T14:00:00Z"));
  expect(nextOccurrence(cron, from)).toBe(Date.parse("2026-03-08T13:00:00Z"));
});

test("a once rule occurs exactly once", () => {
  const rule: Rule = { kind: "once", runAt: noon };
  expect(nextOccurrence(rule, noon - 1)).toBe(noon);
  expect(nextOccurrence(rule, noon)).toBeNull();
});

test("both bounds are inclusive, and what lies outside does not exist", () => {
  const rule: Rule = { kind: "cron", cronExpression: "0 * * * *", timezone: "UTC", startsAt: noon, endsAt: noon + 2 * hourMs };
  expect(occurrencesIn(rule, noon - 24 * hourMs, noon + 24 * hourMs)).toEqual([noon, noon + hourMs, noon + 2 * hourMs]);
  expect(nextOccurrence({ kind: "once", runAt: noon, startsAt: noon, endsAt: noon }, 0)).toBe(noon);
  expect(nextOccurrence({ kind: "once", runAt: noon, startsAt: noon + 1 }, 0)).toBeNull();
  expect(nextOccurrence({ kind: "interval", intervalSeconds: 3_600, anchorAt: noon, startsAt: noon + 5 * hourMs }, 0)).toBe(
    noon + 5 * hourMs,
  );
});

test("a rule that cannot be evaluated is told apart from a rule that is over", () => {
  const rule = { kind: "cron", cronExpression: "0 0 * * *", timezone: "UTC" } as const;
  expect(() => nextOccurrence({ ...rule, cronExpression: "nonsense" }, noon)).toThrow(
    new UnusableRuleError("cron_expression", describeCronProblem("nonsense")),
  );
  expect(() => nextOccurrence({ ...rule, timezone: "Mars/Olympus" }, noon)).toThrow(
    new UnusableRuleError("timezone", '"Mars/Olympus" is not a known time zone'),
  );
});

test("the next occurrence is later than its argument, and none lies between", () => {
  fc.assert(
    fc.property(
      arbitraryRule,
      arbitraryInstant,
      fc.nat(999),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rule, second, milliseconds, share) => {
        const after = second + milliseconds;
        const next = nextOccurrence(rule, after);
        if (next === null) return;
        expect(next).toBeGreaterThan(after);
        expect(nextOccurrence(rule, after + Math.floor((next - 1 - after) * share))).toBe(next);
      },
    ),
    { numRuns: 600 },
  );
});

test("enumerating [a, b) and then [b, c) gives what enumerating [a, c) gives, at every cut", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryInstant, fc.nat(6 * hourMs), fc.nat(6 * hourMs), (rule, a, toCut, toEnd) => {
      const b = a + toCut;
      const c = b + toEnd;
      expect([...occurrencesIn(rule, a, b), ...occurrencesIn(rule, b, c)]).toEqual(occurrencesIn(rule, a, c));
    }),
    { numRuns: 300 },
  );
});
