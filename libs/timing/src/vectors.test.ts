/**
 * What schedules do when clocks change, to the instant. Every vector names all occurrences of its window, so that one too many fails like one too few, and is held
 * against the enumerator too, so that a mistake in a vector shows.
 */
import { describe, expect, test } from "vitest";
import { occurrencesIn } from "./arbitrary-rules.test-support.ts";
import { countOccurrences } from "./count-occurrences.ts";
import { enumerateMinutes } from "./enumerate-minutes.test-support.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { dstGaps, dstOverlaps, type CronRule, type DstGap, type DstOverlap, type IntervalRule } from "./rule.ts";
import { traceLocal } from "./trace-instant.ts";
import { validateRule } from "./validate-rule.ts";

/** Expression and zone, and the window of instants, as `2026-03-08T07:00Z`. */
interface Case {
  cron: string;
  zone: string;
  from: string;
  to: string;
}

function ruleOf({ cron, zone }: Case, dstGap?: DstGap, dstOverlap?: DstOverlap): CronRule {
  return {
    kind: "cron",
    cronExpression: cron,
    timezone: zone,
    ...(dstGap === undefined ? {} : { dstGap }),
    ...(dstOverlap === undefined ? {} : { dstOverlap }),
  };
}

/** The occurrences of a window, asked for in three ways. */
function answersOf(rule: CronRule, { from, to }: Case) {
  const [start, end] = [Date.parse(from), Date.parse(to)];
  return {
    rule,
    occurrences: occurrencesIn(rule, start, end).map(show),
    counted: countOccurrences(rule, start, end),
    enumerated: enumerateMinutes(rule, start, end).map(show),
  };
}

function allAnswer(rule: CronRule, expected: readonly string[]): ReturnType<typeof answersOf> {
  const occurrences = expected.map((at) => show(Date.parse(at)));
  return { rule, occurrences, counted: expected.length, enumerated: occurrences };
}

/** Rows for test.each, with the case in words. */
function titled<Policy extends string>(rows: readonly [string, Policy, Case, string[]][]): [string, Policy, string, Case, string[]][] {
  return rows.map(([guarantee, policy, vector, expected]) => [guarantee, policy, `${vector.cron} ${vector.zone}`, vector, expected]);
}

function show(at: number): string {
  return new Date(at).toISOString();
}

// ---- Cases, each used by every policy that has something to say about it. All windows are whole local days, except where a day is too long to list. ----

const newYorkForward = { zone: "America/New_York", from: "2026-03-08T05:00Z", to: "2026-03-09T04:00Z" };
const newYorkForwardAndNext = { ...newYorkForward, to: "2026-03-10T04:00Z" };
const newYorkBack = { zone: "America/New_York", from: "2026-11-01T04:00Z", to: "2026-11-02T05:00Z" };
const cairoForward = { zone: "Africa/Cairo", from: "2026-04-23T22:00Z", to: "2026-04-25T21:00Z" };
const lordHoweForward = { zone: "Australia/Lord_Howe", from: "2026-10-03T13:30Z", to: "2026-10-05T13:00Z" };
const lordHoweBack = { zone: "Australia/Lord_Howe", from: "2026-04-04T13:00Z", to: "2026-04-06T13:30Z" };

const halfPastTwo = { ...newYorkForwardAndNext, cron: "30 2 * * *" };
const oneOfSeveralHours = { ...newYorkForward, from: "2026-03-07T17:00Z", cron: "30 2,23 * * *" };
const midnightOfSeveralHours = { zone: "America/Havana", from: "2031-03-09T05:00Z", to: "2031-03-10T04:00Z", cron: "26 0,12 * * *" };
const everySecondHour = { ...newYorkForward, to: "2026-03-08T09:00Z", cron: "0 */2 * * *" };
const twoSlotsOnOneInstant = { ...newYorkForward, cron: "0 2,3 * * *" };
const slotsOfOneGap = { ...newYorkForward, cron: "0,15,30 2 * * *" };
const halfPastTwoAndThree = { ...newYorkForward, cron: "30 2,3 * * *" };
const midnight = { ...cairoForward, cron: "0 0 * * *" };
const halfAnHourGap = { ...lordHoweForward, cron: "15 2 * * *" };
const secondsInGap = { ...newYorkForward, cron: "10,50 59 2 * * *" };

describe("a slot in a gap", () => {
  test.each(
    titled<DstGap>([
      ["runs at the gap's end", "run_at_gap_end", halfPastTwo, ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]],
      ["runs as much later as the clocks jump", "shift", halfPastTwo, ["2026-03-08T07:30Z", "2026-03-09T06:30Z"]],
      ["does not run, and the next day's does", "skip", halfPastTwo, ["2026-03-09T06:30Z"]],
      [
        "of one of several hours runs at the gap's end",
        "run_at_gap_end",
        oneOfSeveralHours,
        ["2026-03-08T04:30Z", "2026-03-08T07:00Z", "2026-03-09T03:30Z"],
      ],
      [
        "of one of several hours runs as much later as the clocks jump",
        "shift",
        oneOfSeveralHours,
        ["2026-03-08T04:30Z", "2026-03-08T07:30Z", "2026-03-09T03:30Z"],
      ],
      ["of one of several hours does not run, and the others do", "skip", oneOfSeveralHours, ["2026-03-08T04:30Z", "2026-03-09T03:30Z"]],
      [
        "at midnight, of several hours, runs at the gap's end",
        "run_at_gap_end",
        midnightOfSeveralHours,
        ["2031-03-09T05:00Z", "2031-03-09T16:26Z"],
      ],
      [
        "at midnight, of several hours, runs as much later as the clocks jump",
        "shift",
        midnightOfSeveralHours,
        ["2031-03-09T05:26Z", "2031-03-09T16:26Z"],
      ],
      ["at midnight, of several hours, does not run, and the other does", "skip", midnightOfSeveralHours, ["2031-03-09T16:26Z"]],
      [
        "of a step runs at the gap's end, and the others at their own time",
        "run_at_gap_end",
        everySecondHour,
        ["2026-03-08T05:00Z", "2026-03-08T07:00Z", "2026-03-08T08:00Z"],
      ],
      [
        "of a step runs as much later as the clocks jump, and the others at their own time",
        "shift",
        everySecondHour,
        ["2026-03-08T05:00Z", "2026-03-08T07:00Z", "2026-03-08T08:00Z"],
      ],
      ["of a step does not run, and the others do", "skip", everySecondHour, ["2026-03-08T05:00Z", "2026-03-08T08:00Z"]],
      ["that comes to lie on the next hour's slot is one run with it", "run_at_gap_end", twoSlotsOnOneInstant, ["2026-03-08T07:00Z"]],
      ["that is shifted onto the next hour's slot is one run with it", "shift", twoSlotsOnOneInstant, ["2026-03-08T07:00Z"]],
      ["that is skipped leaves the next hour's slot alone", "skip", twoSlotsOnOneInstant, ["2026-03-08T07:00Z"]],
      ["is one run with the others of its gap", "run_at_gap_end", slotsOfOneGap, ["2026-03-08T07:00Z"]],
      [
        "keeps its distance to the others of its gap when they are shifted",
        "shift",
        slotsOfOneGap,
        ["2026-03-08T07:00Z", "2026-03-08T07:15Z", "2026-03-08T07:30Z"],
      ],
      ["does not run, nor do the others of its gap", "skip", slotsOfOneGap, []],
      ["runs before the next hour's slot", "run_at_gap_end", halfPastTwoAndThree, ["2026-03-08T07:00Z", "2026-03-08T07:30Z"]],
      ["that is shifted onto a later slot of the next hour is one run with it", "shift", halfPastTwoAndThree, ["2026-03-08T07:30Z"]],
      ["that is skipped leaves a later slot of the next hour alone", "skip", halfPastTwoAndThree, ["2026-03-08T07:30Z"]],
      [
        "at midnight runs at the gap's end: the day does not vanish",
        "run_at_gap_end",
        midnight,
        ["2026-04-23T22:00Z", "2026-04-24T21:00Z"],
      ],
      [
        "at midnight runs as much later as the clocks jump: the day does not vanish",
        "shift",
        midnight,
        ["2026-04-23T22:00Z", "2026-04-24T21:00Z"],
      ],
      ["at midnight does not run, and the next day's does", "skip", midnight, ["2026-04-24T21:00Z"]],
      ["of half an hour runs at the gap's end", "run_at_gap_end", halfAnHourGap, ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]],
      ["of half an hour runs as much later as the clocks jump", "shift", halfAnHourGap, ["2026-10-03T15:45Z", "2026-10-04T15:15Z"]],
      ["of half an hour does not run, and the next day's does", "skip", halfAnHourGap, ["2026-10-04T15:15Z"]],
      ["that names seconds runs at the gap's end, once", "run_at_gap_end", secondsInGap, ["2026-03-08T07:00Z"]],
      ["that names seconds keeps them when it is shifted", "shift", secondsInGap, ["2026-03-08T07:59:10Z", "2026-03-08T07:59:50Z"]],
      ["that names seconds does not run", "skip", secondsInGap, []],
    ]),
  )("%s (%s): %s", (_, dstGap, _case, vector, expected) => {
    for (const dstOverlap of [undefined, ...dstOverlaps]) {
      const rule = ruleOf(vector, dstGap, dstOverlap);
      expect(answersOf(rule, vector)).toEqual(allAnswer(rule, expected));
    }
  });

  test("runs at the gap's end where the schedule does not say", () => {
    expect(answersOf(ruleOf(halfPastTwo), halfPastTwo)).toEqual(allAnswer(ruleOf(halfPastTwo), ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]));
  });
});

const halfPastOne = { ...newYorkBack, to: "2026-11-03T05:00Z", cron: "30 1 * * *" };
const oneOfSeveralHoursBack = { ...newYorkBack, cron: "30 1,23 * * *" };
const stepsOfSeveralHoursBack = { zone: "Europe/Berlin", from: "2029-10-27T22:00Z", to: "2029-10-28T23:00Z", cron: "*/20 2,23 * * *" };
const halfAnHourRepeated = { ...lordHoweBack, cron: "45 1 * * *" };
const midnightRepeated = { zone: "Africa/Cairo", from: "2026-10-28T21:00Z", to: "2026-10-30T22:00Z", cron: "30 23 * * *" };
const lateEvening = ["2029-10-28T22:00Z", "2029-10-28T22:20Z", "2029-10-28T22:40Z"];

describe("a slot that shows twice", () => {
  test.each(
    titled<DstOverlap>([
      ["runs at its first showing", "first", halfPastOne, ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]],
      ["runs at its last showing", "last", halfPastOne, ["2026-11-01T06:30Z", "2026-11-02T06:30Z"]],
      ["runs at both showings", "both", halfPastOne, ["2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-02T06:30Z"]],
      [
        "of one of several hours runs at its first showing only",
        "first",
        oneOfSeveralHoursBack,
        ["2026-11-01T05:30Z", "2026-11-02T04:30Z"],
      ],
      ["of one of several hours runs at its last showing only", "last", oneOfSeveralHoursBack, ["2026-11-01T06:30Z", "2026-11-02T04:30Z"]],
      [
        "of one of several hours runs at both showings",
        "both",
        oneOfSeveralHoursBack,
        ["2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-02T04:30Z"],
      ],
      [
        "with steps of minutes runs during the first showing of the hour",
        "first",
        stepsOfSeveralHoursBack,
        ["2029-10-28T00:00Z", "2029-10-28T00:20Z", "2029-10-28T00:40Z", ...lateEvening],
      ],
      [
        "with steps of minutes runs during the last showing of the hour",
        "last",
        stepsOfSeveralHoursBack,
        ["2029-10-28T01:00Z", "2029-10-28T01:20Z", "2029-10-28T01:40Z", ...lateEvening],
      ],
      [
        "with steps of minutes runs during both showings of the hour",
        "both",
        stepsOfSeveralHoursBack,
        [
          "2029-10-28T00:00Z",
          "2029-10-28T00:20Z",
          "2029-10-28T00:40Z",
          "2029-10-28T01:00Z",
          "2029-10-28T01:20Z",
          "2029-10-28T01:40Z",
          ...lateEvening,
        ],
      ],
      ["of half an hour runs at its first showing", "first", halfAnHourRepeated, ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]],
      ["of half an hour runs at its last showing", "last", halfAnHourRepeated, ["2026-04-04T15:15Z", "2026-04-05T15:15Z"]],
      [
        "of half an hour runs at both showings",
        "both",
        halfAnHourRepeated,
        ["2026-04-04T14:45Z", "2026-04-04T15:15Z", "2026-04-05T15:15Z"],
      ],
      ["before midnight runs at its first showing", "first", midnightRepeated, ["2026-10-29T20:30Z", "2026-10-30T21:30Z"]],
      ["before midnight runs at its last showing", "last", midnightRepeated, ["2026-10-29T21:30Z", "2026-10-30T21:30Z"]],
      ["before midnight runs at both showings", "both", midnightRepeated, ["2026-10-29T20:30Z", "2026-10-29T21:30Z", "2026-10-30T21:30Z"]],
    ]),
  )("%s (%s): %s", (_, dstOverlap, _case, vector, expected) => {
    for (const dstGap of [undefined, ...dstGaps]) {
      const rule = ruleOf(vector, dstGap, dstOverlap);
      expect(answersOf(rule, vector)).toEqual(allAnswer(rule, expected));
    }
  });

  test("runs at its first showing where the schedule does not say", () => {
    expect(answersOf(ruleOf(halfPastOne), halfPastOne)).toEqual(allAnswer(ruleOf(halfPastOne), ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]));
  });
});

/** Every `minutes` from `from` up to, not including, `to`. */
function every(minutes: number, from: string, to: string): string[] {
  const count = (Date.parse(to) - Date.parse(from)) / 60_000 / minutes;
  return Array.from({ length: count }, (_, index) => show(Date.parse(from) + index * minutes * 60_000));
}

describe("a pattern that matches every hour follows real time", () => {
  test.each(
    titled<"any policy">([
      [
        "eight quarters in two repeated hours, without a hole and without a double",
        "any policy",
        { ...newYorkBack, from: "2026-11-01T05:00Z", to: "2026-11-01T07:00Z", cron: "*/15 * * * *" },
        every(15, "2026-11-01T05:00Z", "2026-11-01T07:00Z"),
      ],
      [
        "every quarter up to a gap and right after it",
        "any policy",
        { ...newYorkForward, from: "2026-03-08T06:00Z", to: "2026-03-08T08:00Z", cron: "*/15 * * * *" },
        every(15, "2026-03-08T06:00Z", "2026-03-08T08:00Z"),
      ],
      [
        "one run in each of 25 real hours, never two in one",
        "any policy",
        { ...newYorkBack, cron: "0 * * * *" },
        every(60, "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
      ],
      [
        "one run in each of 23 real hours, never two in one",
        "any policy",
        { ...newYorkForward, cron: "0 * * * *" },
        every(60, "2026-03-08T05:00Z", "2026-03-09T04:00Z"),
      ],
      [
        "also where the hours are written as a range",
        "any policy",
        { ...newYorkBack, cron: "30 0-23 * * *" },
        every(60, "2026-11-01T04:30Z", "2026-11-02T05:30Z"),
      ],
      [
        "also where they are written as a step",
        "any policy",
        { ...newYorkBack, cron: "30 */1 * * *" },
        every(60, "2026-11-01T04:30Z", "2026-11-02T05:30Z"),
      ],
      [
        "also where half an hour repeats: each minute that shows it",
        "any policy",
        { ...lordHoweBack, from: "2026-04-04T14:00Z", to: "2026-04-04T16:00Z", cron: "45 * * * *" },
        ["2026-04-04T14:45Z", "2026-04-04T15:15Z"],
      ],
      [
        "also where half an hour is missing: no minute shows it",
        "any policy",
        { ...lordHoweForward, from: "2026-10-03T14:30Z", to: "2026-10-03T16:30Z", cron: "15 * * * *" },
        ["2026-10-03T14:45Z", "2026-10-03T16:15Z"],
      ],
    ]),
  )("%s (%s): %s", (_, _policy, _case, vector, expected) => {
    for (const dstGap of [undefined, ...dstGaps]) {
      for (const dstOverlap of [undefined, ...dstOverlaps]) {
        const rule = ruleOf(vector, dstGap, dstOverlap);
        expect(answersOf(rule, vector)).toEqual(allAnswer(rule, expected));
      }
    }
  });
});

describe("a zone that skips a whole day corrects its place on the map", () => {
  const apia = { zone: "Pacific/Apia", from: "2011-12-29T10:00Z", to: "2011-12-31T10:00Z" };

  test.each(dstGaps)("nothing of that day runs under %s: 0 9 * * * Pacific/Apia", (dstGap) => {
    const vector = { ...apia, cron: "0 9 * * *" };
    expect(answersOf(ruleOf(vector, dstGap), vector)).toEqual(
      allAnswer(ruleOf(vector, dstGap), ["2011-12-29T19:00Z", "2011-12-30T19:00Z"]),
    );
    expect(traceLocal(ruleOf(vector, dstGap), Date.parse("2011-12-30T09:00Z"))).toMatchObject({ verdict: "dst_gap", instants: [] });
  });

  test.each(dstGaps)("a pattern that matches every hour follows real time over it under %s: 0 * * * * Pacific/Apia", (dstGap) => {
    const vector = { ...apia, cron: "0 * * * *" };
    const rule = ruleOf(vector, dstGap);
    expect(answersOf(rule, vector)).toEqual(allAnswer(rule, every(60, apia.from, apia.to)));
  });

  test.each(dstGaps)("the first slot after that day runs under %s: 0 0,12 * * * Pacific/Apia", (dstGap) => {
    const vector = { ...apia, cron: "0 0,12 * * *" };
    expect(answersOf(ruleOf(vector, dstGap), vector)).toEqual(
      allAnswer(ruleOf(vector, dstGap), ["2011-12-29T10:00Z", "2011-12-29T22:00Z", "2011-12-30T10:00Z", "2011-12-30T22:00Z"]),
    );
  });
});

describe("across a clock change", () => {
  test.each([
    ["forward", "2026-03-07T14:00Z", ["2026-03-08T14:00Z", "2026-03-09T14:00Z"], ["2026-03-08T13:00Z", "2026-03-09T13:00Z"]],
    ["back", "2026-10-31T13:00Z", ["2026-11-01T13:00Z", "2026-11-02T13:00Z"], ["2026-11-01T14:00Z", "2026-11-02T14:00Z"]],
  ])("%s, an interval of a day keeps 24 hours and a daily cron rule keeps 09:00", (_, from, everyDay, atNine) => {
    const at = Date.parse(from);
    const interval: IntervalRule = { kind: "interval", intervalSeconds: 86_400, anchorAt: at };
    expect(occurrencesIn(interval, at, at + 49 * 3_600_000)).toEqual(everyDay.map((text) => Date.parse(text)));
    for (const dstGap of dstGaps) {
      for (const dstOverlap of dstOverlaps) {
        const vector = { cron: "0 9 * * *", zone: "America/New_York", from: show(at + 1), to: show(at + 49 * 3_600_000 + 1) };
        expect(answersOf(ruleOf(vector, dstGap, dstOverlap), vector)).toEqual(allAnswer(ruleOf(vector, dstGap, dstOverlap), atNine));
      }
    }
  });
});

describe("a one-off at a local time", () => {
  const nowAt = Date.parse("2026-01-01T00:00Z");
  const inNewYork = (run_at: string, policy: { dst_gap?: string; dst_overlap?: string } = {}) =>
    validateRule({ kind: "once", run_at, timezone: "America/New_York", ...policy }, { nowAt });
  const [inGap, inOverlap] = ["2026-03-08T02:30:00", "2026-11-01T01:30:00"];

  test.each([
    ["in a gap, without a policy", inGap, {}, "2026-03-08T07:00:00.000Z", "2026-03-08T07:30:00.000Z"],
    ["in a gap, with only the other policy", inGap, { dst_overlap: "last" }, "2026-03-08T07:00:00.000Z", "2026-03-08T07:30:00.000Z"],
    [
      "in a gap that is to be skipped, for nothing would run",
      inGap,
      { dst_gap: "skip" },
      "2026-03-08T07:00:00.000Z",
      "2026-03-08T07:30:00.000Z",
    ],
    ["that shows twice, without a policy", inOverlap, {}, "2026-11-01T05:30:00.000Z", "2026-11-01T06:30:00.000Z"],
    [
      "that shows twice, with only the other policy",
      inOverlap,
      { dst_gap: "shift" },
      "2026-11-01T05:30:00.000Z",
      "2026-11-01T06:30:00.000Z",
    ],
    ["that shows twice, for it runs once", inOverlap, { dst_overlap: "both" }, "2026-11-01T05:30:00.000Z", "2026-11-01T06:30:00.000Z"],
  ])("is refused with both candidates %s", (_, runAt, policy, first, second) => {
    const validation = inNewYork(runAt, policy);
    const problems = validation.ok ? [] : validation.problems;
    expect(problems.map(({ field }) => field)).toEqual(["run_at"]);
    expect(problems[0]?.message).toContain(first);
    expect(problems[0]?.message).toContain(second);
  });

  test.each([
    ["in a gap runs at its end", inGap, { dst_gap: "run_at_gap_end" }, "2026-03-08T07:00:00.000Z"],
    ["in a gap runs as much later as the clocks jump", inGap, { dst_gap: "shift" }, "2026-03-08T07:30:00.000Z"],
    ["that shows twice runs at its first showing", inOverlap, { dst_overlap: "first" }, "2026-11-01T05:30:00.000Z"],
    ["that shows twice runs at its last showing", inOverlap, { dst_overlap: "last" }, "2026-11-01T06:30:00.000Z"],
    ["that shows once needs no policy", "2026-07-01T02:30:00", {}, "2026-07-01T06:30:00.000Z"],
  ])("%s, if the policy says so", (_, runAt, policy, expected) => {
    const runAtMs = Date.parse(expected);
    expect(inNewYork(runAt, policy)).toEqual({ ok: true, rule: { kind: "once", runAt: runAtMs }, firstAt: runAtMs });
  });
});

test.each(["2026-01-01T00:00Z", "2026-02-27T12:00Z", "2028-02-29T12:00Z"])("0 0 30 2 * is refused at its creation, at %s", (now) => {
  const validation = validateRule({ kind: "cron", cron_expression: "0 0 30 2 *" }, { nowAt: Date.parse(now) });
  expect(validation.ok ? [] : validation.problems.map(({ field }) => field)).toEqual(["cron_expression"]);
});

// The ids of such runs differ from those of occurrences even on the same instant: see run-id.test.ts of the store.
test.each(dstGaps)(
  "a run that somebody asks for while slots are moved out of a gap is no occurrence, and moves none, under %s",
  (dstGap) => {
    const rule = ruleOf(halfPastTwo, dstGap);
    const moved = { run_at_gap_end: "2026-03-08T07:00Z", shift: "2026-03-08T07:30Z", skip: "2026-03-09T06:30Z" }[dstGap];
    const askedAt = Date.parse("2026-03-08T07:10Z");
    expect(nextOccurrence(rule, askedAt - 1)).not.toBe(askedAt);
    expect(nextOccurrence(rule, Date.parse("2026-03-08T06:59Z"))).toBe(Date.parse(moved));
  },
);
