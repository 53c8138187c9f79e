import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { planDue, type DuePlan, type PlanDueOptions } from "./plan-due.ts";
import type { Instant, Rule } from "./rule.ts";

const noon = Date.UTC(2026, 5, 1, 12);
const minuteMs = 60_000;
const everyMinute: Rule = { kind: "cron", cronExpression: "* * * * *", timezone: "UTC" };

function plan(options: Partial<PlanDueOptions>): DuePlan {
  const base = { rule: everyMinute, fromAt: noon, nowAt: noon, untilAt: noon + 75_000, occurrencesMax: 1_000, lateToleranceMs: minuteMs };
  return planDue({ ...base, ...options });
}

const minutes = (...offsets: number[]): Instant[] => offsets.map((offset) => noon + offset * minuteMs);

test("a pass on time plans everything up to the end of the look-ahead, which is exclusive", () => {
  expect(plan({})).toEqual({ runAt: minutes(0, 1), missed: null, nextAt: noon + 2 * minuteMs });
  expect(plan({ untilAt: noon + minuteMs })).toEqual({ runAt: minutes(0), missed: null, nextAt: noon + minuteMs });
});

test("a watermark beyond the look-ahead stays where it is", () => {
  expect(plan({ fromAt: noon + 5 * minuteMs })).toEqual({ runAt: [], missed: null, nextAt: noon + 5 * minuteMs });
});

test("occurrences that are late by less than the tolerance all run", () => {
  const everyTenSeconds: Rule = { kind: "interval", intervalSeconds: 10, anchorAt: noon - minuteMs };
  const due = plan({ rule: everyTenSeconds, fromAt: noon - 30_000, nowAt: noon, untilAt: noon + 10_000 });
  expect(due).toEqual({ runAt: [noon - 30_000, noon - 20_000, noon - 10_000, noon], missed: null, nextAt: noon + 10_000 });
});

test("after a downtime the newest late occurrence runs and the older ones are one missed range", () => {
  const due = plan({ nowAt: noon + 10.5 * minuteMs, untilAt: noon + 11.5 * minuteMs, lateToleranceMs: 10_000 });
  expect(due.missed).toEqual({ from: noon, to: noon + 9 * minuteMs, count: 10 });
  expect(due.runAt).toEqual(minutes(10, 11));
});

test("an occurrence due at this very instant is not late, so the one before it is the newest late one", () => {
  const due = plan({ nowAt: noon + 10 * minuteMs, untilAt: noon + 11 * minuteMs, lateToleranceMs: 0 });
  expect(due.missed).toEqual({ from: noon, to: noon + 8 * minuteMs, count: 9 });
  expect(due.runAt).toEqual(minutes(9, 10));
  expect(plan({ lateToleranceMs: 0 }).runAt).toEqual(minutes(0, 1));
});

test("an occurrence as old as the tolerance is no longer slightly late", () => {
  const due = plan({ nowAt: noon + 1.5 * minuteMs, untilAt: noon + 1.5 * minuteMs, lateToleranceMs: 1.5 * minuteMs });
  expect(due).toMatchObject({ runAt: minutes(1), missed: { from: noon, to: noon, count: 1 } });
});

test("when slightly late occurrences run, nothing older runs beside them", () => {
  const due = plan({ nowAt: noon + 10.5 * minuteMs, untilAt: noon + 10.5 * minuteMs, lateToleranceMs: 2 * minuteMs });
  expect(due).toEqual({ runAt: minutes(9, 10), missed: { from: noon, to: noon + 8 * minuteMs, count: 9 }, nextAt: noon + 11 * minuteMs });
});

test("a single late occurrence runs however late it is", () => {
  const once: Rule = { kind: "once", runAt: noon };
  expect(plan({ rule: once, nowAt: noon + 1e9, untilAt: noon + 1e9 })).toEqual({ runAt: [noon], missed: null, nextAt: null });
});

test("a downtime that is cut short runs nothing until the call that reaches the newest late occurrence", () => {
  const late = { nowAt: noon + 10.5 * minuteMs, untilAt: noon + 10.5 * minuteMs, lateToleranceMs: 10_000, occurrencesMax: 6 };
  const first = plan(late);
  expect(first).toEqual({ runAt: [], missed: { from: noon, to: noon + 5 * minuteMs, count: 6 }, nextAt: noon + 6 * minuteMs });
  const second = plan({ ...late, fromAt: noon + 6 * minuteMs });
  expect(second).toEqual({
    runAt: minutes(10),
    missed: { from: noon + 6 * minuteMs, to: noon + 9 * minuteMs, count: 4 },
    nextAt: noon + 11 * minuteMs,
  });
});

test("a watermark that the rule would no longer produce is evaluated like any other", () => {
  const due = plan({ fromAt: noon + 17_000, nowAt: noon + 17_000 });
  expect(due.runAt).toEqual([noon + 17_000, noon + minuteMs]);
});

test("the watermark must be able to move", () => {
  expect(() => plan({ occurrencesMax: 0 })).toThrow(RangeError);
});

test("runs and missed counts add up to the enumerated occurrences, and cutting the work changes nothing, at any cut of any window", () => {
  const windowMs = fc.nat(3 * 3_600_000);
  fc.assert(
    fc.property(
      fc.record({
        rule: arbitraryRule,
        start: arbitraryInstant,
        downMs: windowMs,
        aheadMs: fc.nat(300_000),
        lateToleranceMs: fc.nat(600_000),
        occurrencesMax: fc.integer({ min: 1, max: 50 }),
      }),
      ({ rule, start, downMs, aheadMs, lateToleranceMs, occurrencesMax }) => {
        const fromAt = nextOccurrence(rule, start);
        fc.pre(fromAt !== null);
        const nowAt = fromAt + downMs;
        const untilAt = nowAt + aheadMs;
        const whole = planDue({ rule, fromAt, nowAt, untilAt, lateToleranceMs, occurrencesMax: Infinity });
        const enumerated = occurrencesIn(rule, fromAt, untilAt);
        expect(whole.runAt.length + (whole.missed?.count ?? 0)).toBe(enumerated.length);

        const runAt: Instant[] = [];
        const missed: Instant[] = [];
        let nextAt: Instant | null = fromAt;
        while (nextAt !== null && nextAt < untilAt) {
          const part: DuePlan = planDue({ rule, fromAt: nextAt, nowAt, untilAt, lateToleranceMs, occurrencesMax });
          runAt.push(...part.runAt);
          const range = part.missed === null ? [] : occurrencesIn(rule, part.missed.from, part.missed.to + 1);
          expect(range).toHaveLength(part.missed?.count ?? 0);
          missed.push(...range);
          nextAt = part.nextAt;
        }
        expect(nextAt).toBe(whole.nextAt);
        expect(runAt).toEqual(whole.runAt);
        expect([...missed, ...runAt]).toEqual(enumerated);
      },
    ),
    { numRuns: 200 },
  );
});
