/**
 * The guarantees of `next-occurrence.ts`, compared with an enumerator that knows nothing of the library, around every clock change that any zone has in the next
 * ten years. fast-check prints the seed and the smallest counterexample of what fails.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  changingZones,
  nearbyMs,
  placedRule,
  placeNearClockChange,
  placeNearClockStep,
  windowMs,
} from "./arbitrary-clock-changes.test-support.ts";
import { occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { countOccurrences } from "./count-occurrences.ts";
import { enumerateMinutes } from "./enumerate-minutes.test-support.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { misfires, occurrenceAt, planDue, type DuePlan, type PlanDueOptions, type Timing } from "./plan-due.ts";
import type { CronRule, Instant } from "./rule.ts";
import type { Spread } from "./spread.ts";

const numRuns = 10_000;

/** Seconds of computing, which a busy machine stretches; nothing here waits for anything. */
const timeout = 240_000;
const hourMs = 3_600_000;

/** Rules that fire every second are compared over the part of a window in which they fire this often. */
const occurrencesMax = 100;

/** What the enumerator finds in `[from, to)`, or up to `end` where that is too much. */
function enumerateAtMost(rule: CronRule, from: Instant, to: Instant): { expected: Instant[]; end: Instant } {
  const expected = enumerateMinutes(rule, from, to);
  const end = expected[occurrencesMax] ?? to;
  return { expected: expected.slice(0, occurrencesMax), end };
}

test("every occurrence is later than the one before, matches the pattern under the policy, and leaves out none", { timeout }, () => {
  fc.assert(
    fc.property(placedRule(placeNearClockChange), nearbyMs, windowMs, ({ rule, twin, at }, fromPlace, lengthMs) => {
      const start = at + fromPlace;
      const end = start + lengthMs;
      const found: Instant[] = [];
      let next = nextOccurrence(rule, start);
      while (next !== null && next < end && found.length < 6) {
        found.push(next);
        next = nextOccurrence(rule, next);
      }
      const inOrder = [start, ...found, next ?? Infinity];
      expect(inOrder).toEqual([...new Set(inOrder)].sort((a, b) => a - b));
      expect(enumerateMinutes(twin, start + 1, Math.min(end, next ?? end))).toEqual(found);
      const beyond = next === null ? [] : [next];
      expect(beyond.flatMap((instant) => enumerateMinutes(twin, instant, instant + 1))).toEqual(beyond);
    }),
    { numRuns },
  );
});

test("the occurrences of [a, b) and of [b, c) are those of [a, c), which are those of the enumerator, at every cut", { timeout }, () => {
  fc.assert(
    fc.property(
      placedRule(placeNearClockChange),
      nearbyMs,
      windowMs,
      fc.double({ min: 0, max: 1, noNaN: true }),
      ({ rule, twin, at }, fromPlace, lengthMs, share) => {
        const a = at + fromPlace;
        const { expected, end: c } = enumerateAtMost(twin, a, a + lengthMs);
        const b = a + Math.floor((c - a) * share);
        expect(occurrencesIn(rule, a, c)).toEqual(expected);
        expect([...occurrencesIn(rule, a, b), ...occurrencesIn(rule, b, c)]).toEqual(expected);
      },
    ),
    { numRuns },
  );
});

// ---- What a schedule's passes make of the occurrences. ----

const spread: fc.Arbitrary<Spread | null> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * hourMs }).map((ms): Spread => ({ kind: "duration", windowMs: ms })) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map((share): Spread => ({ kind: "share", share })) },
);

const schedule = fc.record({
  placed: placedRule(placeNearClockChange),
  fromPlace: nearbyMs,
  lengthMs: windowMs,
  /** Which share of the window has passed when the pass comes. */
  late: fc.double({ min: 0, max: 1, noNaN: true }),
  /** Moves the pass to the instant at which that occurrence is due, or as much later as it may be late: the edges of the policies. */
  edge: fc.option(fc.record({ index: fc.nat(occurrencesMax - 1), allowance: fc.constantFrom("none", "tolerance", "grace") })),
  /** Which share of the rest it looks ahead. */
  ahead: fc.double({ min: 0, max: 1, noNaN: true }),
  scheduleId: fc.constantFrom("sch_a", "sch_b", "sch_c"),
  spread,
  misfire: fc.constantFrom(...misfires),
  graceMs: fc.option(fc.nat(12 * hourMs)),
  lateToleranceMs: fc.oneof(fc.constant(0), fc.constant(60_000), fc.nat(3 * hourMs)),
  catchupMax: fc.nat(20),
});

type Schedule = typeof schedule extends fc.Arbitrary<infer Value> ? Value : never;

/** A pass that comes late, from the first occurrence after the place on. Null when there is none. */
function latePass(arbitrarySchedule: Schedule): (PlanDueOptions & { twin: CronRule }) | null {
  const { placed, fromPlace, lengthMs, late, edge, ahead, scheduleId, misfire, graceMs, lateToleranceMs, catchupMax } = arbitrarySchedule;
  const { rule, twin } = placed;
  const fromAt = nextOccurrence(rule, placed.at + fromPlace);
  if (fromAt === null) return null;
  const timing: Timing = { rule, scheduleId, spread: arbitrarySchedule.spread, misfire, graceMs };
  const { expected, end } = enumerateAtMost(twin, fromAt, fromAt + lengthMs);
  // The database's clock has microseconds.
  let nowAt = fromAt + Math.floor((end - fromAt) * late * 8) / 8;
  if (edge !== null) {
    const { dueAt } = occurrenceAt(timing, expected[edge.index % expected.length] ?? fromAt);
    nowAt = Math.min(dueAt + { none: 0, tolerance: lateToleranceMs, grace: graceMs ?? 0 }[edge.allowance], end);
  }
  const untilAt = nowAt + Math.ceil((end - nowAt) * ahead);
  return { timing, twin, fromAt, nowAt, untilAt, occurrencesMax: Infinity, lateToleranceMs, catchupMax };
}

/** The occurrences that a pass settles, by what becomes of them. The instants of a missed stretch are the enumerator's. */
function settledBy({ due, missed }: DuePlan, twin: CronRule): { run: Instant[]; missed: [string, Instant][] } {
  const instants = missed.map(({ from, to, count, reason }) => {
    const stretch = enumerateMinutes(twin, from, to + 1);
    expect([stretch[0], stretch.at(-1), stretch.length]).toEqual([from, to, count]);
    return stretch.map((at): [string, Instant] => [reason, at]);
  });
  return { run: due.map(({ at }) => at), missed: instants.flat() };
}

test(
  "a late pass finds what a pass on time finds, split by the misfire policy, and finds it again when it is repeated",
  { timeout },
  () => {
    fc.assert(
      fc.property(schedule, (arbitrarySchedule) => {
        const pass = latePass(arbitrarySchedule);
        if (pass === null) return;
        const { timing, twin, fromAt, nowAt, lateToleranceMs, catchupMax } = pass;
        const onTime = planDue({ ...pass, timing: { ...timing, graceMs: null }, nowAt: fromAt });
        expect(onTime.missed).toEqual([]);
        expect(onTime.due.map(({ at }) => at)).toEqual(enumerateMinutes(twin, fromAt, Math.min(onTime.next?.at ?? Infinity, pass.untilAt)));

        const plan = planDue(pass);
        expect(planDue(pass)).toEqual(plan);
        const inGrace = onTime.due.filter(({ dueAt }) => timing.graceMs === null || dueAt >= nowAt - timing.graceMs);
        const overdue = inGrace.filter(({ dueAt }) => dueAt < nowAt && dueAt <= nowAt - lateToleranceMs);
        const slightlyLate = inGrace.filter(({ dueAt }) => dueAt < nowAt && dueAt > nowAt - lateToleranceMs);
        const keptCount = Math.max(0, { latest: 1, all: catchupMax, skip: 0 }[timing.misfire] - slightlyLate.length);
        const firstKept = Math.max(0, overdue.length - keptCount);
        const reason = { latest: "coalesced", all: "catchup_limit", skip: "late" }[timing.misfire];
        expect(settledBy(plan, twin)).toEqual({
          run: [...overdue.slice(firstKept), ...inGrace.slice(overdue.length)].map(({ at }) => at),
          missed: [
            ...onTime.due.slice(0, onTime.due.length - inGrace.length).map(({ at }) => ["grace", at]),
            ...overdue.slice(0, firstKept).map(({ at }) => [reason, at]),
          ],
        });
        expect(plan.next).toEqual(onTime.next);
      }),
      { numRuns },
    );
  },
);

const clockStep = fc.oneof(
  { weight: 3, arbitrary: fc.nat(hourMs) },
  { weight: 2, arbitrary: fc.constantFrom(-hourMs, -1_000, 1_000, hourMs) },
);

test(
  "each occurrence is claimed exactly once, in order, by dispatchers whose clocks step back and forth, over leap days and year ends",
  { timeout },
  () => {
    fc.assert(
      fc.property(
        placedRule(placeNearClockStep),
        nearbyMs,
        fc.array(clockStep, { minLength: 1, maxLength: 20 }),
        ({ rule, twin, at }, fromPlace, steps) => {
          const start = at + fromPlace;
          const claimed: Instant[] = [];
          let watermark = nextOccurrence(rule, start - 1);
          let nowAt = start;
          let latestAt = -Infinity;
          for (const step of steps) {
            nowAt += step;
            latestAt = Math.max(latestAt, nowAt);
            while (watermark !== null && watermark <= nowAt && claimed.length < occurrencesMax) {
              claimed.push(watermark);
              watermark = nextOccurrence(rule, watermark);
            }
          }
          expect(claimed).toEqual(latestAt < start ? [] : enumerateAtMost(twin, start, latestAt + 1).expected);
        },
      ),
      { numRuns },
    );
  },
);

test(
  "a new time zone database repeats nothing and loses nothing: the stored occurrence keeps its instant, and after it the new clocks count",
  { timeout },
  () => {
    fc.assert(
      fc.property(
        placedRule(placeNearClockStep),
        fc.nat(9_999),
        nearbyMs,
        windowMs,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ rule, twin, at }, other, fromPlace, lengthMs, share) => {
          // What a database says anew of a zone is what the present one says of another.
          const timezone = changingZones[other % changingZones.length] as string;
          const start = at + fromPlace;
          const end = start + lengthMs;
          const updatedAt = start + Math.floor(lengthMs * share);
          const claimed: Instant[] = [];
          let watermark = nextOccurrence(rule, start - 1);
          while (watermark !== null && watermark < updatedAt && claimed.length < occurrencesMax) {
            claimed.push(watermark);
            watermark = nextOccurrence(rule, watermark);
          }
          const stored = watermark ?? Infinity;
          while (watermark !== null && watermark < end && claimed.length < occurrencesMax) {
            claimed.push(watermark);
            watermark = nextOccurrence({ ...rule, timezone }, watermark);
          }
          const expected = [
            ...enumerateMinutes(twin, start, Math.min(updatedAt, stored)),
            ...(stored < end ? [stored, ...enumerateMinutes({ ...twin, timezone }, stored + 1, end)] : []),
          ];
          expect(claimed).toEqual(expected.slice(0, occurrencesMax));
        },
      ),
      { numRuns },
    );
  },
);

test(
  "runs and missed counts are the occurrences, and so is a count, over any window, however the passes cut it and clocks step between them",
  { timeout },
  () => {
    fc.assert(
      fc.property(
        schedule,
        fc.integer({ min: 1, max: 40 }),
        fc.array(clockStep, { minLength: 1, maxLength: 4 }),
        (arbitrarySchedule, occurrencesPerPass, steps) => {
          const pass = latePass(arbitrarySchedule);
          if (pass === null) return;
          const { timing, twin, fromAt } = pass;
          let { nowAt, untilAt } = pass;
          let latestAt = untilAt;
          let watermark: Instant | null = fromAt;
          const run: Instant[] = [];
          let missedCount = 0;
          for (const step of steps) {
            if (watermark === null) break;
            const plan: DuePlan = planDue({ ...pass, fromAt: watermark, nowAt, untilAt, occurrencesMax: occurrencesPerPass });
            run.push(...plan.due.map(({ at }) => at));
            missedCount += plan.missed.reduce((sum, { count }) => sum + count, 0);
            watermark = plan.next && plan.next.at;
            latestAt = Math.max(latestAt, untilAt);
            nowAt += step;
            untilAt += step;
          }
          const end = Math.min(watermark ?? Infinity, Math.ceil(latestAt));
          const count = enumerateMinutes(twin, fromAt, end).length;
          expect(run).toEqual([...new Set(run)].sort((a, b) => a - b));
          expect(run.length + missedCount).toBe(count);
          expect(countOccurrences(timing.rule, fromAt, end)).toBe(count);
        },
      ),
      { numRuns },
    );
  },
);
