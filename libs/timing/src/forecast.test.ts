import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nearbyMs, placedRule, placeNearClockChange, windowMs } from "./arbitrary-clock-changes.test-support.ts";
import { arbitraryInstant, arbitraryRule, occurrencesIn } from "./arbitrary-rules.test-support.ts";
import type { Calendar } from "./calendar.ts";
import { countMinutes, WorkExceededError, WorkLimit } from "./count-minutes.ts";
import { countOccurrences } from "./count-occurrences.ts";
import { groupLoad, type ForecastGroup } from "./forecast.ts";
import { nextDue, type Timing } from "./plan-due.ts";
import type { Instant, Rule } from "./rule.ts";
import { spreadFraction, type Spread } from "./spread.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;
const unlimited = () => new WorkLimit(Infinity);

function tally(instants: readonly Instant[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const at of instants) counts.set(Math.floor(at / minuteMs), (counts.get(Math.floor(at / minuteMs)) ?? 0) + 1);
  return counts;
}

function counted(rule: Rule, from: Instant, to: Instant): Map<number, number> {
  const { minutes, counts } = countMinutes(rule, { from, to, work: unlimited() });
  return new Map([...minutes].map((minute, index) => [minute, counts[index] ?? 0]));
}

const weekdays: Calendar = {
  name: "office hours",
  kind: "allow",
  timezone: "Europe/Berlin",
  entries: [{ kind: "weekly", weekdays: [1, 2, 3, 4, 5], fromMinute: 9 * 60, toMinute: 17 * 60 + 30 }],
};

describe("occurrences per minute", () => {
  const calendars = fc.constantFrom<readonly Calendar[]>(
    [],
    [],
    [weekdays],
    [
      {
        name: "freeze",
        kind: "blackout",
        timezone: "UTC",
        entries: [{ kind: "period", from: Date.UTC(2026, 2, 8, 6, 59, 30), to: Date.UTC(2026, 10, 1, 5, 30) }],
      },
    ],
  );

  test("are those that walking the rule finds, whatever its kind, bounds and calendars", () => {
    fc.assert(
      fc.property(arbitraryRule, calendars, arbitraryInstant, fc.integer({ min: 1, max: 60 * hourMs }), (rule, held, from, lengthMs) => {
        const bounded: Rule = { ...rule, calendars: held };
        expect(counted(bounded, from, from + lengthMs)).toEqual(tally(occurrencesIn(bounded, from, from + lengthMs)));
      }),
      { numRuns: 500 },
    );
  });

  test("are those that walking the rule finds, around every clock change of every zone", () => {
    fc.assert(
      fc.property(placedRule(placeNearClockChange), nearbyMs, windowMs, ({ rule, at }, fromPlace, lengthMs) => {
        const from = at + fromPlace;
        // Walking the rules of every second takes long.
        fc.pre(countOccurrences(rule, from, from + lengthMs) <= 5_000);
        expect(counted(rule, from, from + lengthMs)).toEqual(tally(occurrencesIn(rule, from, from + lengthMs)));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(["* * * * * *", "*/7 * * * * *", "15-20 1,2,30 0-22 * * *", "0 30 2 L-3 * *", "59 59 23 * * 1#2"])(
    "of %s are exact at both ends of a stretch that cuts minutes, days and a clock change",
    (cronExpression) => {
      const rule: Rule = { kind: "cron", cronExpression, timezone: "America/New_York" };
      const from = Date.UTC(2026, 2, 8, 6, 58, 13, 500);
      const to = from + 3 * hourMs + 17_250;
      expect(counted(rule, from, to)).toEqual(tally(occurrencesIn(rule, from, to)));
    },
  );

  test("of a rule of every second cost no more than a step a day and a little for each minute", () => {
    const rule: Rule = { kind: "cron", cronExpression: "* * * * * *", timezone: "Europe/Berlin" };
    const from = Date.UTC(2026, 2, 25);
    const { counts } = countMinutes(rule, { from, to: from + 7 * 24 * hourMs, work: new WorkLimit(7 * 72 + 20) });
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(7 * 86_400);
  });

  test("are refused as too much work where they are, instead of being answered in part", () => {
    const rule: Rule = { kind: "cron", cronExpression: "* * * * * *", timezone: "UTC" };
    expect(() => countMinutes(rule, { from: 0, to: 24 * hourMs, work: new WorkLimit(10) })).toThrow(WorkExceededError);
  });
});

interface Members {
  rule: Rule;
  spread: Spread | null;
  ids: readonly string[];
  stretches: ForecastGroup["stretches"];
  startsMax: number | null;
}

/** Every schedule on its own, occurrence by occurrence. */
function startsOf({ rule, spread, ids, stretches, startsMax }: Members, from: Instant, to: Instant): Instant[] {
  return ids.flatMap((scheduleId) => {
    const timing: Timing = { rule, scheduleId, spread, misfire: "latest", graceMs: null };
    const starts: Instant[] = [];
    for (let next = nextDue(timing, from - 24 * hourMs - 1); next !== null && next.at < to; next = nextDue(timing, next.at)) {
      const { dueAt } = next;
      if (dueAt >= from && dueAt < to && stretches.some((stretch) => dueAt >= stretch.from && dueAt < stretch.to)) starts.push(dueAt);
    }
    return starts.slice(0, startsMax ?? Infinity);
  });
}

function toGroup({ ids, ...rest }: Members): ForecastGroup {
  return { ...rest, fractions: Float64Array.from(ids.map(spreadFraction).sort((a, b) => a - b)) };
}

const always = [{ from: -Infinity, to: Infinity }];

const arbitrarySpread: fc.Arbitrary<Spread | null> = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 1, max: 90_000_000 }).map((ms): Spread => ({ kind: "duration", windowMs: ms })),
  fc.double({ min: 0.01, max: 1, noNaN: true }).map((share): Spread => ({ kind: "share", share })),
);

describe("the load of a group", () => {
  const arbitraryMembers = fc.record({
    rule: arbitraryRule,
    spread: arbitrarySpread,
    ids: fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 40 }),
    from: arbitraryInstant.map((at) => Math.floor(at / minuteMs)),
    minutes: fc.integer({ min: 1, max: 2_000 }),
    hole: fc.option(fc.tuple(fc.integer({ min: 0, max: 2_000 * minuteMs }), fc.integer({ min: 0, max: 600 * minuteMs }))),
  });

  test("is what its schedules start one by one, minute by minute, in total and by schedule", () => {
    fc.assert(
      fc.property(arbitraryMembers, ({ rule, spread, ids, from: fromMinute, minutes, hole }) => {
        const from = fromMinute * minuteMs;
        const to = from + minutes * minuteMs;
        // A spread of a dense rule is left out of account; see below.
        fc.pre(spread === null || countOccurrences(rule, from, to) < minutes);
        const stretches =
          hole === null
            ? always
            : [
                { from: -Infinity, to: from + hole[0] },
                { from: from + hole[0] + hole[1], to: Infinity },
              ];
        const members = { rule, spread, ids, stretches, startsMax: null };
        const load = groupLoad(toGroup(members), { fromMinute, minutes }, unlimited());
        const totals = new Float64Array(minutes);
        load.addTo(totals);
        const expected = tally(startsOf(members, from, to));
        const found = [...totals].flatMap((count, place) => (count === 0 ? [] : [[fromMinute + place, count] as const]));
        expect(new Map(found)).toEqual(expected);
        const sorted = ids.toSorted((a, b) => spreadFraction(a) - spreadFraction(b));
        for (const [minute] of found.slice(0, 5)) {
          const starts = load
            .membersAt(minute)
            .flatMap((part) => sorted.slice(part.from, part.to).flatMap((id) => Array<string>(part.count).fill(id)));
          const single = ids.flatMap((id) =>
            startsOf({ ...members, ids: [id] }, from, to)
              .filter((at) => Math.floor(at / minuteMs) === minute)
              .map(() => id),
          );
          expect(starts.sort()).toEqual(single.sort());
        }
      }),
      { numRuns: 400 },
    );
  });

  test("ends where a schedule has had all the runs that it may have", () => {
    fc.assert(
      fc.property(arbitraryMembers, fc.integer({ min: 0, max: 30 }), ({ rule, spread, ids, from: fromMinute, minutes }, startsMax) => {
        const [from, to] = [fromMinute * minuteMs, (fromMinute + minutes) * minuteMs];
        fc.pre(spread === null || countOccurrences(rule, from, to) < minutes);
        const members = { rule, spread, ids: spread === null ? ids : ids.slice(0, 1), stretches: always, startsMax };
        const totals = new Float64Array(minutes);
        groupLoad(toGroup(members), { fromMinute, minutes }, unlimited()).addTo(totals);
        const found = [...totals].flatMap((count, place) => (count === 0 ? [] : [[fromMinute + place, count] as const]));
        expect(new Map(found)).toEqual(tally(startsOf(members, from, to)));
      }),
      { numRuns: 300 },
    );
  });

  test("of a rule of every minute or more is that of the rule, because a spread moves less than a minute", () => {
    const rule: Rule = { kind: "cron", cronExpression: "*/20 * * * * *", timezone: "UTC" };
    const ids = ["a", "b", "c"];
    const totals = new Float64Array(60);
    const members = { rule, spread: { kind: "share", share: 1 } as const, ids, stretches: always, startsMax: null };
    groupLoad(toGroup(members), { fromMinute: 29_000_000, minutes: 60 }, unlimited()).addTo(totals);
    expect([...totals]).toEqual(Array(60).fill(9));
    expect(startsOf(members, 29_000_000 * minuteMs, 29_000_060 * minuteMs)).toHaveLength(60 * 9);
  });

  test("of 100,000 spread schedules takes a few steps for each occurrence, not one for each start", () => {
    const ids = Array.from({ length: 100_000 }, (_, index) => `schedule ${index}`);
    const rule: Rule = { kind: "cron", cronExpression: "0 0 * * *", timezone: "UTC" };
    const members = { rule, spread: { kind: "duration", windowMs: 900_000 } as const, ids, stretches: always, startsMax: null };
    const totals = new Float64Array(7 * 1_440);
    groupLoad(toGroup(members), { fromMinute: 29_000_160, minutes: 7 * 1_440 }, new WorkLimit(50)).addTo(totals);
    expect(totals.reduce((sum, count) => sum + count, 0)).toBe(700_000);
  });
});
