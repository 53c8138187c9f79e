import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { occurrenceAt, type Timing } from "./plan-due.ts";
import { type Spread, spreadFraction, spreadOffsetMs, spreadWindowMsMax } from "./spread.ts";

const minuteMs = 60_000;

/** UUIDs as the database makes them, the same in each run. */
const ids = Array.from({ length: 10_000 }, (_, index) => `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`);

test("a herd of 10,000 schedules in a window of 15 minutes: no second has more than three times its share, none starts early or after the window", () => {
  const windowMs = 15 * minuteMs;
  const perSecond = new Map<number, number>();
  for (const id of ids) {
    const offsetMs = spreadOffsetMs({ kind: "duration", windowMs }, spreadFraction(id), 86_400_000);
    expect(Number.isInteger(offsetMs) && offsetMs >= 0 && offsetMs < windowMs).toBe(true);
    const second = Math.floor(offsetMs / 1_000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(3 * (ids.length / (windowMs / 1_000)));
});

test("a schedule's place in its window is the same in every process and for ever", () => {
  expect(spreadFraction("0b5c3b1e-8a7e-4d0e-9a56-0c5a2a0f6a11")).toBe(0.26763456501066685);
  expect(new Set(ids.map(spreadFraction)).size).toBeGreaterThan(9_990);
});

test.for([
  ["not spread", null, 3_600_000, 0],
  ["by a duration", { kind: "duration", windowMs: 10 * minuteMs }, 3_600_000, 5 * minuteMs],
  ["by a share of the time to the next occurrence", { kind: "share", share: 0.5 }, 3_600_000, 15 * minuteMs],
  ["by a duration longer than that time: only up to the next occurrence", { kind: "duration", windowMs: 10 * minuteMs }, 60_000, 30_000],
  ["by a duration, without a next occurrence", { kind: "duration", windowMs: 10 * minuteMs }, null, 5 * minuteMs],
  ["by a share, without a next occurrence: there is nothing to take a share of", { kind: "share", share: 0.5 }, null, 0],
  ["by a share of a year: a run is never put off by more than a day", { kind: "share", share: 1 }, 365 * 86_400_000, spreadWindowMsMax / 2],
] as [string, Spread | null, number | null, number][])(
  "the offset of a schedule in the middle of its window, %s",
  ([, spread, gapMs, offsetMs]) => {
    expect(spreadOffsetMs(spread, 0.5, gapMs)).toBe(offsetMs);
  },
);

test("no occurrence of any rule starts early, nor as late as the next one is named for; the order of occurrences is the order of starts", () => {
  const arbitrarySpread: fc.Arbitrary<Spread> = fc.oneof(
    fc.nat(2 * 86_400_000).map((windowMs): Spread => ({ kind: "duration", windowMs })),
    fc.double({ min: 0, max: 1, noNaN: true }).map((share): Spread => ({ kind: "share", share })),
  );
  fc.assert(
    fc.property(arbitraryRule, arbitrarySpread, fc.uuid(), arbitraryInstant, (rule, spread, scheduleId, start) => {
      const timing: Timing = { rule, scheduleId, spread, misfire: "latest", graceMs: null };
      const instants = occurrencesIn(rule, start, start + 30 * 86_400_000, 20);
      for (const [index, at] of instants.entries()) {
        const { dueAt } = occurrenceAt(timing, at);
        expect(Number.isInteger(dueAt)).toBe(true);
        expect(dueAt).toBeGreaterThanOrEqual(at);
        expect(dueAt).toBeLessThan(instants[index + 1] ?? Infinity);
      }
    }),
    { numRuns: 300 },
  );
});
