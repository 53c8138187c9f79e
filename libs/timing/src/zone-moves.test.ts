import { describe, expect, test } from "vitest";
import { nextOccurrence } from "./next-occurrence.ts";
import type { CronRule, Rule } from "./rule.ts";
import { disagreements, findMoves, joinSpans, moveWatermark, recordZone, zoneFromRecord, type ZoneRecord } from "./zone-moves.ts";
import { zoneOf, type ClockChange, type ZoneLookup } from "./zone.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const at = (text: string) => Date.parse(text);
const texts = (instants: readonly number[]) => instants.map((instant) => new Date(instant).toISOString().slice(0, 16));

const from = at("2026-10-01T00:00:00Z");
const until = at("2026-11-30T00:00:00Z");
const berlin = zoneOf("Europe/Berlin");

/** Berlin as an invented former version had it. */
function formerBerlin(changes: ClockChange[], offsetMs = 2 * hourMs): ZoneLookup {
  const record: ZoneRecord = { from: from - 2 * dayMs, until: from + 400 * dayMs, offsetMs, changes };
  const zone = zoneFromRecord("Europe/Berlin", record);
  return (timezone) => (timezone === "Europe/Berlin" ? zone : zoneOf(timezone));
}

/** Summer time ends a week later than it really does: from 25 October, 01:00Z to 1 November, 01:00Z the former version is an hour ahead. */
const laterEnd = formerBerlin([{ at: at("2026-11-01T01:00:00Z"), offsetBeforeMs: 2 * hourMs, offsetAfterMs: hourMs }]);
/** Summer time never ends. */
const noEnd = formerBerlin([]);
/** An hour behind, all the time. */
const behind = formerBerlin([{ at: at("2026-10-25T01:00:00Z"), offsetBeforeMs: hourMs, offsetAfterMs: 0 }], hourMs);

const cron = (cronExpression: string, more: Partial<CronRule> = {}): CronRule => ({
  kind: "cron",
  cronExpression,
  timezone: "Europe/Berlin",
  ...more,
});

function moves(rule: Rule, before: ZoneLookup, namedMax = 3) {
  const spans = disagreements(before("Europe/Berlin"), berlin, from, until);
  const found = findMoves(rule, { before, spans, from, until, namedMax });
  return { gone: texts(found.gone), come: texts(found.come) };
}

describe("a record of a zone", () => {
  test("is the same zone again: every rule has the same occurrences in it", () => {
    for (const name of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"]) {
      const start = at("2026-01-01T00:00:00Z");
      const record = recordZone(zoneOf(name), start - 2 * dayMs, start + 400 * dayMs);
      // As it comes back from the database.
      const again = zoneFromRecord(name, JSON.parse(JSON.stringify(record)) as ZoneRecord);
      expect(disagreements(again, zoneOf(name), start, start + 398 * dayMs)).toEqual([]);
      for (const expression of ["30 1,2,3 * * *", "0 * * * *"]) {
        const rule: Rule = { kind: "cron", cronExpression: expression, timezone: name, dstOverlap: "both", dstGap: "shift" };
        for (let next: number | null = start; next !== null && next < start + 398 * dayMs;) {
          const expected: number | null = nextOccurrence(rule, next);
          expect(nextOccurrence(rule, next, () => again)).toBe(expected);
          next = expected;
        }
      }
    }
  });

  test("holds the changes after its beginning up to its end", () => {
    const change = { at: at("2026-10-25T01:00:00Z"), offsetBeforeMs: 2 * hourMs, offsetAfterMs: hourMs };
    expect(recordZone(berlin, from, until)).toEqual({ from, until, offsetMs: 2 * hourMs, changes: [change] });
    expect(recordZone(berlin, change.at, until).changes).toEqual([]);
    expect(recordZone(berlin, from, change.at).changes).toEqual([change]);
    expect(recordZone(zoneOf("UTC"), from, until)).toEqual({ from, until, offsetMs: 0, changes: [] });
  });
});

describe("two versions of a zone disagree", () => {
  test("between the old and the new instant of a change that was moved", () => {
    expect(disagreements(laterEnd("Europe/Berlin"), berlin, from, until)).toEqual([
      { from: at("2026-10-25T01:00:00Z"), to: at("2026-11-01T01:00:00Z") },
    ]);
  });

  test("up to the end of what is looked at, where a change was dropped, and as one stretch where the offset was another all along", () => {
    expect(disagreements(noEnd("Europe/Berlin"), berlin, from, until)).toEqual([{ from: at("2026-10-25T01:00:00Z"), to: until }]);
    expect(disagreements(behind("Europe/Berlin"), berlin, from, until)).toEqual([{ from, to: until }]);
  });

  test("nowhere, when they are the same", () => {
    expect(disagreements(berlin, berlin, from, until)).toEqual([]);
  });

  test("stretches that touch or overlap are one", () => {
    const joined = joinSpans([
      { from: 5, to: 6 },
      { from: 1, to: 3 },
      { from: 2, to: 4 },
      { from: 4, to: 5 },
      { from: 8, to: 9 },
    ]);
    expect(joined).toEqual([
      { from: 1, to: 6 },
      { from: 8, to: 9 },
    ]);
  });
});

describe("the moves of a rule", () => {
  test("are the instants that go and those that come, in the stretch of the disagreement only", () => {
    expect(moves(cron("0 9 * * *"), laterEnd, 9)).toEqual({
      gone: [25, 26, 27, 28, 29, 30, 31].map((day) => `2026-10-${day}T07:00`),
      come: [25, 26, 27, 28, 29, 30, 31].map((day) => `2026-10-${day}T08:00`),
    });
  });

  test("are named up to the given number of each kind", () => {
    expect(moves(cron("0 9 * * *"), noEnd)).toEqual({
      gone: ["2026-10-25T07:00", "2026-10-26T07:00", "2026-10-27T07:00"],
      come: ["2026-10-25T08:00", "2026-10-26T08:00", "2026-10-27T08:00"],
    });
  });

  test("of a rule that follows real time are none", () => {
    expect(moves(cron("*/15 * * * *"), laterEnd)).toEqual({ gone: [], come: [] });
    expect(moves(cron("* * * * *"), noEnd)).toEqual({ gone: [], come: [] });
  });

  test("of a rule that rarely fires are found weeks later", () => {
    expect(moves(cron("0 9 16 11 *"), noEnd)).toEqual({ gone: ["2026-11-16T07:00"], come: ["2026-11-16T08:00"] });
  });

  test("of a rule whose occurrences all lie outside of the disagreement are none", () => {
    expect(moves(cron("0 9 10 * *"), laterEnd)).toEqual({ gone: [], come: [] });
  });

  test("include a repeated slot whose repetition comes or goes, which lies before the disagreement", () => {
    // With the change on 25 October, 02:30 shows twice there; without it once.
    const rule = cron("30 2 * * 0", { dstOverlap: "last" });
    expect(moves(rule, noEnd)).toEqual({
      gone: ["2026-10-25T00:30", "2026-11-01T00:30", "2026-11-08T00:30"],
      come: ["2026-10-25T01:30", "2026-11-01T01:30", "2026-11-08T01:30"],
    });
    // The first showing stays where it was: only later Sundays move.
    expect(moves(cron("30 2 * * 0"), noEnd).gone).toEqual(["2026-11-01T00:30", "2026-11-08T00:30", "2026-11-15T00:30"]);
  });

  test("of an interval are those that its calendar's zone makes", () => {
    const night = {
      name: "nights",
      kind: "blackout" as const,
      timezone: "Europe/Berlin",
      entries: [{ kind: "weekly" as const, weekdays: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, toMinute: 23 * 60 }],
    };
    const rule: Rule = { kind: "interval", intervalSeconds: 3_600, anchorAt: 0, calendars: [night] };
    expect(moves(rule, laterEnd, 1)).toEqual({ gone: ["2026-10-25T21:00"], come: ["2026-10-25T22:00"] });
    expect(moves({ kind: "interval", intervalSeconds: 3_600, anchorAt: 0 }, laterEnd)).toEqual({ gone: [], come: [] });
  });

  test("of what is settled are not told", () => {
    const spans = disagreements(laterEnd("Europe/Berlin"), berlin, from, until);
    const options = { before: laterEnd, spans, until, namedMax: 9 };
    const settled = at("2026-10-30T12:00:00Z");
    expect(texts(findMoves(cron("0 9 * * *"), { ...options, from: settled }).gone)).toEqual(["2026-10-31T07:00"]);
  });
});

describe("the watermark", () => {
  const moved = (rule: Rule, watermark: string, before: ZoneLookup) => {
    const next = moveWatermark(rule, at(watermark), before);
    return next === null ? null : texts([next])[0];
  };

  test("stands where it is while the versions agree about it", () => {
    expect(moved(cron("0 9 * * *"), "2026-10-20T07:00:00Z", laterEnd)).toBeNull();
    expect(moved(cron("0 9 * * *"), "2026-11-05T08:00:00Z", laterEnd)).toBeNull();
  });

  test("moves with its slot, later and earlier", () => {
    expect(moved(cron("0 9 * * *"), "2026-10-27T07:00:00Z", laterEnd)).toBe("2026-10-27T08:00");
    expect(moved(cron("0 9 * * *"), "2026-10-20T08:00:00Z", behind)).toBe("2026-10-20T07:00");
  });

  test("that moves loses no slot: the first one of the day moves into a time when nothing was due", () => {
    expect(moved(cron("0 9-17 * * *"), "2026-10-20T08:00:00Z", behind)).toBe("2026-10-20T07:00");
  });

  test("does not go back behind instants that had their runs", () => {
    // At 12:00Z the former version said 13:00 and evaluates slot 13; what is now slot 13, 11:00Z, had its run as slot 12.
    expect(moved(cron("0 9-17 * * *"), "2026-10-20T12:00:00Z", behind)).toBeNull();
    expect(moved(cron("0 9-17 * * *"), "2026-10-20T16:00:00Z", behind)).toBe("2026-10-21T07:00");
  });

  test("does not fire a slot again that was evaluated an hour before its new instant", () => {
    expect(moved(cron("0 9-17 * * *"), "2026-10-27T10:00:00Z", laterEnd)).toBe("2026-10-27T11:00");
  });

  test("of a rule that follows real time stands still", () => {
    expect(moved(cron("*/20 * * * *"), "2026-10-27T10:20:00Z", laterEnd)).toBeNull();
  });

  test("at the end of a gap that is gone moves to the slot that is there now", () => {
    // The former version skipped 02:00 to 03:00 on 20 October.
    const gap = formerBerlin([{ at: at("2026-10-20T01:00:00Z"), offsetBeforeMs: hourMs, offsetAfterMs: 2 * hourMs }], hourMs);
    expect(moved(cron("30 2 * * *"), "2026-10-20T01:00:00Z", gap)).toBe("2026-10-20T00:30");
  });

  test("of a rule that has ended stands where it is", () => {
    expect(moved(cron("0 9 * * *", { endsAt: at("2026-10-27T07:30:00Z") }), "2026-10-27T07:00:00Z", laterEnd)).toBeNull();
  });
});
