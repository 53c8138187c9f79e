import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import type { Calendar } from "./calendar.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { type DuePlan, misfires, nextDue, occurrenceAt, planDropped, planDue, type PlanDueOptions, type Timing } from "./plan-due.ts";
import type { Instant, Rule } from "./rule.ts";
import { spreadFraction, type Occurrence, type Spread } from "./spread.ts";

const noon = Date.UTC(2026, 5, 1, 12);
const minuteMs = 60_000;
const everyMinute: Rule = { kind: "cron", cronExpression: "* * * * *", timezone: "UTC" };

/** Each minute, under the policy `latest` without a limit of grace, unless told otherwise. */
function timing(fields: Partial<Timing> = {}): Timing {
  return { rule: everyMinute, scheduleId: "schedule", spread: null, misfire: "latest", graceMs: null, ...fields };
}

function plan({ timing: fields, ...options }: Partial<Omit<PlanDueOptions, "timing">> & { timing?: Partial<Timing> }): DuePlan {
  const limits = { occurrencesMax: 1_000, lateToleranceMs: minuteMs, catchupMax: 1_000 };
  return planDue({ timing: timing(fields), fromAt: noon, nowAt: noon, untilAt: noon + 75_000, ...limits, ...options });
}

/** Occurrences that start at their own instant. */
const ownTime = (...instants: Instant[]): Occurrence[] => instants.map((at) => ({ at, dueAt: at }));
const minutes = (...offsets: number[]): Instant[] => offsets.map((offset) => noon + offset * minuteMs);
const instantsOf = ({ due }: { due: readonly Occurrence[] }): Instant[] => due.map(({ at }) => at);

test("a pass on time plans everything up to the end of the look-ahead, which is exclusive", () => {
  expect(plan({})).toEqual({ due: ownTime(...minutes(0, 1)), missed: [], next: ownTime(...minutes(2))[0] });
  expect(plan({ untilAt: noon + minuteMs })).toEqual({ due: ownTime(noon), missed: [], next: ownTime(...minutes(1))[0] });
});

test("a watermark beyond the look-ahead stays where it is", () => {
  expect(plan({ fromAt: noon + 5 * minuteMs })).toEqual({ due: [], missed: [], next: ownTime(...minutes(5))[0] });
});

test.for(misfires)("occurrences that are late by less than the tolerance all run, under the policy %s too", (misfire) => {
  const everyTenSeconds: Rule = { kind: "interval", intervalSeconds: 10, anchorAt: noon - minuteMs };
  const due = plan({ timing: { rule: everyTenSeconds, misfire }, fromAt: noon - 30_000, nowAt: noon, untilAt: noon + 10_000 });
  expect(due).toEqual({
    due: ownTime(noon - 30_000, noon - 20_000, noon - 10_000, noon),
    missed: [],
    next: { at: noon + 10_000, dueAt: noon + 10_000 },
  });
});

test("after a downtime the newest late occurrence runs now, and the older ones are one missed stretch", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const due = plan({ nowAt, untilAt: nowAt + minuteMs, lateToleranceMs: 10_000 });
  expect(due.missed).toEqual([{ from: noon, to: noon + 9 * minuteMs, count: 10, reason: "coalesced" }]);
  expect(due.due).toEqual([{ at: noon + 10 * minuteMs, dueAt: nowAt }, ...ownTime(...minutes(11))]);
});

test("under `all` every occurrence of a downtime runs now, oldest first", () => {
  const nowAt = noon + 3.5 * minuteMs;
  const due = plan({ timing: { misfire: "all" }, nowAt, untilAt: nowAt, lateToleranceMs: 10_000 });
  expect(due).toEqual({
    due: minutes(0, 1, 2, 3).map((at) => ({ at, dueAt: nowAt })),
    missed: [],
    next: ownTime(...minutes(4))[0],
  });
});

test("under `all` a downtime with more occurrences than are made up for runs the newest of them, oldest first; the older ones are missed", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const due = plan({ timing: { misfire: "all" }, nowAt, untilAt: nowAt, lateToleranceMs: 10_000, catchupMax: 3 });
  expect(instantsOf(due)).toEqual(minutes(8, 9, 10));
  expect(due.missed).toEqual([{ from: noon, to: noon + 7 * minuteMs, count: 8, reason: "catchup_limit" }]);
});

test("under `skip` nothing of a downtime runs", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const due = plan({ timing: { misfire: "skip" }, nowAt, untilAt: nowAt + minuteMs, lateToleranceMs: 10_000 });
  expect(instantsOf(due)).toEqual(minutes(11));
  expect(due.missed).toEqual([{ from: noon, to: noon + 10 * minuteMs, count: 11, reason: "late" }]);
});

test.for(misfires)("what is later than the grace is missed for that reason, under the policy %s as under the others", (misfire) => {
  const nowAt = noon + 10.5 * minuteMs;
  const { missed } = plan({ timing: { misfire, graceMs: 4 * minuteMs }, nowAt, untilAt: nowAt, lateToleranceMs: 10_000 });
  expect(missed[0]).toEqual({ from: noon, to: noon + 6 * minuteMs, count: 7, reason: "grace" });
});

test("an occurrence exactly as old as the grace is still in it", () => {
  const nowAt = noon + 10 * minuteMs;
  const late = { timing: { misfire: "all" as const, graceMs: 4 * minuteMs }, nowAt, untilAt: nowAt, lateToleranceMs: 0 };
  expect(instantsOf(plan(late))).toEqual(minutes(6, 7, 8, 9));
  expect(instantsOf(plan({ ...late, nowAt: nowAt + 0.125 }))).toEqual(minutes(7, 8, 9, 10));
});

test("a grace of zero misses whatever is late at all, and never what is still to come", () => {
  const due = plan({ timing: { graceMs: 0 }, nowAt: noon + 30_000 });
  expect(due.missed).toEqual([{ from: noon, to: noon, count: 1, reason: "grace" }]);
  expect(instantsOf(due)).toEqual(minutes(1));
});

test("when everything of a downtime is older than the grace nothing of it runs, not even its newest occurrence", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const due = plan({ timing: { rule: { kind: "once", runAt: noon }, graceMs: minuteMs }, nowAt, untilAt: nowAt });
  expect(due).toEqual({ due: [], missed: [{ from: noon, to: noon, count: 1, reason: "grace" }], next: null });
});

test("an occurrence due at this very instant is not late, so the one before it is the newest late one", () => {
  const due = plan({ nowAt: noon + 10 * minuteMs, untilAt: noon + 11 * minuteMs, lateToleranceMs: 0 });
  expect(due.missed).toEqual([{ from: noon, to: noon + 8 * minuteMs, count: 9, reason: "coalesced" }]);
  expect(instantsOf(due)).toEqual(minutes(9, 10));
  expect(instantsOf(plan({ lateToleranceMs: 0 }))).toEqual(minutes(0, 1));
});

test("an occurrence as old as the tolerance is no longer slightly late", () => {
  const due = plan({ nowAt: noon + 1.5 * minuteMs, untilAt: noon + 1.5 * minuteMs, lateToleranceMs: 1.5 * minuteMs });
  expect(instantsOf(due)).toEqual(minutes(1));
  expect(due.missed).toEqual([{ from: noon, to: noon, count: 1, reason: "coalesced" }]);
});

test("when slightly late occurrences run, nothing older runs beside them", () => {
  const due = plan({ nowAt: noon + 10.5 * minuteMs, untilAt: noon + 10.5 * minuteMs, lateToleranceMs: 2 * minuteMs });
  expect(due).toEqual({
    due: ownTime(...minutes(9, 10)),
    missed: [{ from: noon, to: noon + 8 * minuteMs, count: 9, reason: "coalesced" }],
    next: ownTime(...minutes(11))[0],
  });
});

test("a single late occurrence runs however late it is", () => {
  const once: Rule = { kind: "once", runAt: noon };
  expect(plan({ timing: { rule: once }, nowAt: noon + 1e9, untilAt: noon + 1e9 })).toEqual({
    due: [{ at: noon, dueAt: noon + 1e9 }],
    missed: [],
    next: null,
  });
});

test("what is ahead is planned in bounded steps, whose watermark shows how far it came; a downtime is one step, however long", () => {
  const yearMs = 365 * 86_400_000;
  const late = {
    fromAt: noon - yearMs,
    nowAt: noon + 0.5 * minuteMs,
    untilAt: noon + 100 * minuteMs,
    lateToleranceMs: 10_000,
    occurrencesMax: 6,
  };
  const first = plan(late);
  expect(first.missed).toEqual([{ from: noon - yearMs, to: noon - minuteMs, count: 365 * 1_440, reason: "coalesced" }]);
  expect(instantsOf(first)).toEqual(minutes(0, 1, 2, 3, 4, 5, 6));
  expect(first.next).toEqual(ownTime(...minutes(7))[0]);
  const second = plan({ ...late, fromAt: noon + 7 * minuteMs });
  expect([instantsOf(second), second.missed]).toEqual([minutes(7, 8, 9, 10, 11, 12), []]);
});

test("a watermark that the rule would no longer produce is evaluated like any other", () => {
  expect(instantsOf(plan({ fromAt: noon + 17_000, nowAt: noon + 17_000 }))).toEqual([noon + 17_000, noon + minuteMs]);
  const late = plan({ fromAt: noon + 17_000, nowAt: noon + 10.5 * minuteMs, untilAt: noon + 10.5 * minuteMs, lateToleranceMs: 10_000 });
  expect(late.missed).toEqual([{ from: noon + 17_000, to: noon + 9 * minuteMs, count: 10, reason: "coalesced" }]);
});

test("a hole that a calendar makes holds no occurrence: nothing in it runs, and nothing in it is missed", () => {
  const lunch: Calendar = {
    name: "lunch",
    kind: "blackout",
    timezone: "UTC",
    entries: [{ kind: "period", from: noon + 2 * minuteMs, to: noon + 8 * minuteMs }],
  };
  const nowAt = noon + 10.5 * minuteMs;
  const due = plan({ timing: { rule: { ...everyMinute, calendars: [lunch] } }, nowAt, untilAt: nowAt, lateToleranceMs: 10_000 });
  expect(instantsOf(due)).toEqual(minutes(10));
  expect(due.missed).toEqual([{ from: noon, to: noon + 9 * minuteMs, count: 4, reason: "coalesced" }]);
});

test("the watermark must be able to move", () => {
  expect(() => plan({ occurrencesMax: 0 })).toThrow(RangeError);
});

/** A window of 40 s: schedules of this id start so much later. */
const spread: Spread = { kind: "duration", windowMs: 40_000 };
const offsetMs = Math.floor(spreadFraction("schedule") * 40_000);

test("a spread schedule is planned by when it is to start: an occurrence of the look-ahead that starts beyond it is left for later", () => {
  const due = plan({ timing: { spread }, untilAt: noon + minuteMs + offsetMs });
  expect(due).toEqual({
    due: [{ at: noon, dueAt: noon + offsetMs }],
    missed: [],
    next: { at: noon + minuteMs, dueAt: noon + minuteMs + offsetMs },
  });
});

test("a spread occurrence is late when it should have started, not before", () => {
  const nowAt = noon + 5 * minuteMs + offsetMs;
  const exactly = plan({ timing: { spread, misfire: "skip" }, nowAt, untilAt: nowAt + 1, lateToleranceMs: 0 });
  expect(exactly.due).toEqual([{ at: noon + 5 * minuteMs, dueAt: nowAt }]);
  expect(exactly.missed).toEqual([{ from: noon, to: noon + 4 * minuteMs, count: 5, reason: "late" }]);
  const later = plan({ timing: { spread, misfire: "skip" }, nowAt: nowAt + 1, untilAt: nowAt + 1, lateToleranceMs: 0 });
  expect(later.missed).toEqual([{ from: noon, to: noon + 5 * minuteMs, count: 6, reason: "late" }]);
});

test("an occurrence and its successor are told with the instants at which they start", () => {
  expect(occurrenceAt(timing({ spread }), noon)).toEqual({ at: noon, dueAt: noon + offsetMs });
  expect(occurrenceAt(timing(), noon)).toEqual({ at: noon, dueAt: noon });
  expect(nextDue(timing({ spread }), noon)).toEqual({ at: noon + minuteMs, dueAt: noon + minuteMs + offsetMs });
  expect(nextDue(timing({ rule: { kind: "once", runAt: noon }, spread }), noon)).toBeNull();
  // The last occurrence has no successor whose place it could take.
  expect(occurrenceAt(timing({ rule: { kind: "once", runAt: noon }, spread }), noon)).toEqual({ at: noon, dueAt: noon + offsetMs });
});

const arbitraryTiming: fc.Arbitrary<Timing> = fc.record({
  rule: arbitraryRule,
  scheduleId: fc.constantFrom("schedule", "other", "third"),
  spread: fc.oneof(
    fc.constant(null),
    fc.nat(7_200_000).map((windowMs): Spread => ({ kind: "duration", windowMs })),
    fc.double({ min: 0, max: 1, noNaN: true }).map((share): Spread => ({ kind: "share", share })),
  ),
  misfire: fc.constantFrom(...misfires),
  graceMs: fc.option(fc.nat(3 * 3_600_000)),
});

const arbitraryPass = fc.record({
  timing: arbitraryTiming,
  start: arbitraryInstant,
  /** The database's clock is finer than milliseconds. */
  downMs: fc.nat(3 * 3_600_000 * 4).map((quarters) => quarters / 4),
  aheadMs: fc.nat(300_000),
  lateToleranceMs: fc.nat(600_000),
  catchupMax: fc.nat(10),
});

/** The occurrences of a rule from its watermark on, one by one, with when they start. */
function walk(of: Timing, fromAt: Instant, isBefore: (occurrence: Occurrence) => boolean): Occurrence[] {
  const walked: Occurrence[] = [];
  for (let next: Occurrence | null = occurrenceAt(of, fromAt); next !== null && isBefore(next); next = nextDue(of, next.at))
    walked.push(next);
  return walked;
}

test("runs and missed counts add up to the enumerated occurrences, and cutting the work changes nothing, at any cut of any window", () => {
  fc.assert(
    fc.property(arbitraryPass, fc.integer({ min: 1, max: 50 }), ({ timing: of, start, downMs, aheadMs, ...limits }, occurrencesMax) => {
      const fromAt = nextOccurrence(of.rule, start);
      fc.pre(fromAt !== null);
      const nowAt = fromAt + downMs;
      const untilAt = nowAt + aheadMs;
      const whole = planDue({ timing: of, fromAt, nowAt, untilAt, ...limits, occurrencesMax: Infinity });
      const enumerated = walk(of, fromAt, ({ dueAt }) => dueAt < untilAt).map(({ at }) => at);
      expect(whole.due.length + whole.missed.reduce((sum, { count }) => sum + count, 0)).toBe(enumerated.length);

      const ran: Instant[] = [];
      const missed: Instant[] = [];
      let next: Occurrence | null = occurrenceAt(of, fromAt);
      // A repetition starts from the first one that was not evaluated, so a kept one never comes back.
      while (next !== null && next.dueAt < untilAt) {
        const part: DuePlan = planDue({ timing: of, fromAt: next.at, nowAt, untilAt, ...limits, occurrencesMax });
        ran.push(...instantsOf(part));
        for (const { from, to, count } of part.missed) {
          const range = occurrencesIn(of.rule, from, to + 1);
          expect([range[0], range.at(-1), range.length]).toEqual([from, to, count]);
          missed.push(...range);
        }
        next = part.next;
      }
      expect(next).toEqual(whole.next);
      expect(ran).toEqual(instantsOf(whole));
      expect([...missed, ...ran]).toEqual(enumerated);
    }),
    { numRuns: 300 },
  );
});

test("what fell into a pause or a maintenance: the newest few are made up for, the others are one stretch, and nothing after it is touched", () => {
  const during = { timing: timing(), fromAt: noon, untilAt: noon + 10 * minuteMs, nowAt: noon + 10 * minuteMs + 0.25 };
  expect(planDropped({ ...during, keptMax: 0 })).toEqual({
    due: [],
    dropped: { from: noon, to: noon + 9 * minuteMs, count: 10 },
    next: ownTime(...minutes(10))[0],
  });
  expect(planDropped({ ...during, keptMax: 2 })).toEqual({
    due: minutes(8, 9).map((at) => ({ at, dueAt: noon + 10 * minuteMs })),
    dropped: { from: noon, to: noon + 7 * minuteMs, count: 8 },
    next: ownTime(...minutes(10))[0],
  });
  expect(planDropped({ ...during, keptMax: 50 })).toMatchObject({ due: { length: 10 }, dropped: null });
});

test("a rule that ends within a pause has nothing left afterwards", () => {
  const rule: Rule = { ...everyMinute, endsAt: noon + 3 * minuteMs };
  const nowAt = noon + 10 * minuteMs;
  expect(planDropped({ timing: timing({ rule }), fromAt: noon, untilAt: nowAt, nowAt, keptMax: 1 })).toEqual({
    due: [{ at: noon + 3 * minuteMs, dueAt: nowAt }],
    dropped: { from: noon, to: noon + 2 * minuteMs, count: 3 },
    next: null,
  });
});

test("what is dropped, what is made up for and what comes after are the occurrences, whatever the rule and however it is spread", () => {
  fc.assert(
    fc.property(arbitraryTiming, arbitraryInstant, fc.nat(5 * 3_600_000), fc.nat(20), (of, start, lengthMs, keptMax) => {
      const fromAt = nextOccurrence(of.rule, start);
      fc.pre(fromAt !== null);
      const untilAt = fromAt + lengthMs;
      const { due, dropped, next } = planDropped({ timing: of, fromAt, untilAt, nowAt: untilAt, keptMax });
      const during = walk(of, fromAt, ({ dueAt }) => dueAt < untilAt).map(({ at }) => at);
      const kept = during.slice(Math.max(0, during.length - keptMax));
      expect(due.map(({ at }) => at)).toEqual(kept);
      expect(due.every(({ dueAt }) => dueAt === untilAt)).toBe(true);
      const gone = during.slice(0, during.length - kept.length);
      expect(dropped).toEqual(gone.length === 0 ? null : { from: gone[0], to: gone.at(-1), count: gone.length });
      const last = during.at(-1);
      expect(next).toEqual(last === undefined ? occurrenceAt(of, fromAt) : nextDue(of, last));
    }),
    { numRuns: 300 },
  );
});
