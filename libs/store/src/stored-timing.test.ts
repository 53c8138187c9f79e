import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import { expect, test } from "vitest";
import type { StoredCalendar } from "./load-calendars.ts";
import type { StoredRule } from "./lock-due.ts";
import { noCalendars, toCalendar, toRule, toTiming } from "./stored-timing.ts";

const noon = Date.UTC(2026, 5, 1, 12);

/** A row as the table has it by default. */
function row(fields: Partial<StoredRule> = {}): StoredRule {
  return {
    kind: "cron",
    cronExpression: "0 9 * * *",
    timezone: "Europe/Berlin",
    intervalSeconds: null,
    anchorAt: null,
    runAt: null,
    startsAt: null,
    endsAt: null,
    dstGap: "run_at_gap_end",
    dstOverlap: "first",
    misfire: "latest",
    graceSeconds: 86_400,
    spreadSeconds: null,
    spreadShare: null,
    calendarIds: null,
    ...fields,
  };
}

const holidays: StoredCalendar = { id: "holidays", name: "holidays", kind: "blackout", timezone: "UTC", entries: ["12-25", "SAT,SUN"] };
const calendars = new Map([["holidays", holidays]]);

test("each kind of rule is read from its own columns, with its bounds and, for cron, its policies for clock changes", () => {
  expect(toRule("schedule", row({ startsAt: noon, endsAt: noon + 1, dstGap: "skip", dstOverlap: "both" }), noCalendars)).toEqual({
    kind: "cron",
    cronExpression: "0 9 * * *",
    timezone: "Europe/Berlin",
    dstGap: "skip",
    dstOverlap: "both",
    startsAt: noon,
    endsAt: noon + 1,
  });
  expect(toRule("schedule", row({ kind: "interval", intervalSeconds: 60, anchorAt: noon }), noCalendars)).toEqual({
    kind: "interval",
    intervalSeconds: 60,
    anchorAt: noon,
  });
  expect(toRule("schedule", row({ kind: "once", runAt: noon }), noCalendars)).toEqual({ kind: "once", runAt: noon });
});

test.for([
  ["cron", { cronExpression: null }],
  ["interval", { kind: "interval", anchorAt: noon }],
  ["interval", { kind: "interval", intervalSeconds: 60 }],
  ["once", { kind: "once" }],
] as [string, Partial<StoredRule>][])(
  "a row of kind %s that lacks a column of its kind is our error, and says which schedule's",
  ([kind, fields]) => {
    const read = () => toRule("schedule-7", row(fields), noCalendars);
    expect(read).toThrow(`schedule schedule-7 of kind ${kind} lacks the fields of its kind`);
    expect(read).not.toThrow(UnusableRuleError);
  },
);

test.for([
  [{}, null],
  [{ spreadSeconds: 900 }, { kind: "duration", windowMs: 900_000 }],
  [{ spreadShare: 0.25 }, { kind: "share", share: 0.25 }],
] as const)("the spread of %j is %j", ([fields, spread]) => {
  expect(toTiming("schedule", row(fields), noCalendars)).toMatchObject({
    scheduleId: "schedule",
    spread,
    misfire: "latest",
    graceMs: 86_400_000,
  });
});

test("no limit of grace stays no limit, and a grace of zero stays zero", () => {
  expect(toTiming("schedule", row({ graceSeconds: null }), noCalendars).graceMs).toBeNull();
  expect(toTiming("schedule", row({ graceSeconds: 0 }), noCalendars).graceMs).toBe(0);
});

test("the calendars that a schedule names make holes into its rule", () => {
  const rule = toRule("schedule", row({ calendarIds: ["holidays"] }), calendars);
  // A Friday's successor is Monday.
  expect(nextOccurrence(rule, Date.UTC(2026, 5, 5, 12))).toBe(Date.UTC(2026, 5, 8, 7));
  expect(toRule("schedule", row({ calendarIds: [] }), calendars)).not.toHaveProperty("calendars");
});

test("a calendar that is read again is not parsed again", () => {
  expect(toCalendar(holidays, "holidays")).toBe(toCalendar(holidays, "holidays"));
  expect(toCalendar({ ...holidays }, "holidays")).toEqual(toCalendar(holidays, "holidays"));
});

test("a calendar that is not there, or holds what cannot be read, is our error and names the calendar", () => {
  expect(() => toRule("schedule", row({ calendarIds: ["gone"] }), calendars)).toThrow("there is no calendar gone");
  const unreadable = { ...holidays, entries: ["christmas"] };
  expect(() => toCalendar(unreadable, "holidays")).toThrow(/^calendar holidays: the entry .*"christmas"/);
});
