import type { Calendar } from "@downbeat/timing/calendar.ts";
import { parseCalendarEntry } from "@downbeat/timing/parse-calendar.ts";
import type { Timing } from "@downbeat/timing/plan-due.ts";
import type { Rule, RuleBounds } from "@downbeat/timing/rule.ts";
import type { Spread } from "@downbeat/timing/spread.ts";
import type { StoredCalendar } from "./load-calendars.ts";
import type { StoredRule } from "./lock-due.ts";

/** The calendars that schedules name, by id. */
export type CalendarsById = ReadonlyMap<string, StoredCalendar>;

export const noCalendars: CalendarsById = new Map();

/**
 * What the table says about a schedule's time, for the timing library. Throws for a row that lacks the fields of its kind or names a calendar that is not there: nobody can say
 * when such a schedule is due.
 */
export function toTiming(scheduleId: string, stored: StoredRule, calendars: CalendarsById): Timing {
  const { misfire, graceSeconds } = stored;
  return {
    rule: toRule(scheduleId, stored, calendars),
    scheduleId,
    spread: toSpread(stored),
    misfire,
    graceMs: graceSeconds === null ? null : graceSeconds * 1_000,
  };
}

export function toRule(scheduleId: string, stored: StoredRule, calendars: CalendarsById): Rule {
  const { kind, cronExpression, timezone, intervalSeconds, anchorAt, runAt, startsAt, endsAt, dstGap, dstOverlap, calendarIds } = stored;
  const bounds: RuleBounds = {
    ...(startsAt === null ? {} : { startsAt }),
    ...(endsAt === null ? {} : { endsAt }),
    ...(calendarIds === null || calendarIds.length === 0 ? {} : { calendars: calendarIds.map((id) => toCalendar(calendars.get(id), id)) }),
  };
  if (kind === "cron" && cronExpression !== null) return { kind, cronExpression, timezone, dstGap, dstOverlap, ...bounds };
  if (kind === "interval" && intervalSeconds !== null && anchorAt !== null) return { kind, intervalSeconds, anchorAt, ...bounds };
  if (kind === "once" && runAt !== null) return { kind, runAt, ...bounds };
  throw new Error(`schedule ${scheduleId} of kind ${kind} lacks the fields of its kind`);
}

/** Parsing entries for each occurrence would be work for nothing; a row that was read is never changed. */
const parsed = new WeakMap<StoredCalendar, Calendar>();

export function toCalendar(stored: StoredCalendar | undefined, id: string): Calendar {
  if (stored === undefined) throw new Error(`there is no calendar ${id}`);
  const known = parsed.get(stored);
  if (known !== undefined) return known;
  const entries = stored.entries.map((text) => {
    const reading = parseCalendarEntry(text);
    if ("problem" in reading) throw new Error(`calendar ${stored.name}: the entry ${reading.problem}`);
    return reading.value;
  });
  const calendar = { name: stored.name, kind: stored.kind, timezone: stored.timezone, entries };
  parsed.set(stored, calendar);
  return calendar;
}

function toSpread({ spreadSeconds, spreadShare }: StoredRule): Spread | null {
  if (spreadSeconds !== null) return { kind: "duration", windowMs: spreadSeconds * 1_000 };
  return spreadShare === null ? null : { kind: "share", share: spreadShare };
}
