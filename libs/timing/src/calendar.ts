import type { Instant } from "./rule.ts";
import { instantOf, wallTimeAt, zoneOf, type WallTime, type ZoneLookup } from "./zone.ts";

/**
 * A named set of local days, times of the week and periods. A `blackout` makes holes into the rules that name it; outside of an `allow` calendar they do not exist.
 * A rule with several allow calendars exists inside each of them that admits it, so one is enough; a single blackout is enough to refuse.
 */
export interface Calendar {
  name: string;
  kind: "allow" | "blackout";
  /** IANA name: where its days begin and end. */
  timezone: string;
  entries: readonly CalendarEntry[];
}

export type CalendarEntry =
  /** Whole local days, both ends included, counted from 1970-01-01 as day 0. */
  | { kind: "days"; fromDay: number; toDay: number }
  /** Days of every year as month · 100 + day, both ends included; from 1224 to 102 goes over the end of the year. */
  | { kind: "yearly"; from: number; to: number }
  /** Times of some weekdays (0 is Sunday), in minutes since midnight; the end is not included. */
  | { kind: "weekly"; weekdays: readonly number[]; fromMinute: number; toMinute: number }
  /** An absolute stretch; the end is not included. */
  | { kind: "period"; from: Instant; to: Instant };

const dayMs = 86_400_000;

/** The calendar that refuses `instant`, or null when all admit it. */
export function refusingCalendar(calendars: readonly Calendar[], instant: Instant, zones: ZoneLookup = zoneOf): Calendar | null {
  const blackout = calendars.find((calendar) => calendar.kind === "blackout" && covers(calendar, instant, zones));
  if (blackout !== undefined) return blackout;
  const allowing = calendars.filter(({ kind }) => kind === "allow");
  return allowing.length === 0 || allowing.some((calendar) => covers(calendar, instant, zones)) ? null : (allowing[0] ?? null);
}

/**
 * An instant after `instant` up to which, not including it, the calendars answer as they do at `instant`. It may lie earlier than the last such instant, never later:
 * whoever walks holes asks again there.
 */
export function nextBoundary(calendars: readonly Calendar[], instant: Instant, zones: ZoneLookup = zoneOf): Instant {
  return Math.min(...calendars.map((calendar) => nextBoundaryOf(calendar, instant, zones)));
}

function covers({ timezone, entries }: Calendar, instant: Instant, zones: ZoneLookup): boolean {
  const wall = wallTimeAt(zones(timezone), instant);
  return entries.some((entry) => isInside(entry, instant, wall));
}

function isInside(entry: CalendarEntry, instant: Instant, wall: WallTime): boolean {
  switch (entry.kind) {
    case "period":
      return instant >= entry.from && instant < entry.to;
    case "days": {
      const day = Math.floor(wall / dayMs);
      return day >= entry.fromDay && day <= entry.toDay;
    }
    case "yearly": {
      const date = new Date(wall);
      const day = (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
      return entry.from <= entry.to ? day >= entry.from && day <= entry.to : day >= entry.from || day <= entry.to;
    }
    case "weekly": {
      const minute = Math.floor((wall - Math.floor(wall / dayMs) * dayMs) / 60_000);
      return entry.weekdays.includes(new Date(wall).getUTCDay()) && minute >= entry.fromMinute && minute < entry.toMinute;
    }
  }
}

function nextBoundaryOf({ timezone, entries }: Calendar, instant: Instant, zones: ZoneLookup): Instant {
  const zone = zones(timezone);
  const wall = wallTimeAt(zone, instant);
  const midnight = Math.floor(wall / dayMs) * dayMs;
  const edges = entries.flatMap((entry) =>
    entry.kind === "weekly" ? [entry.fromMinute, entry.toMinute].map((minute) => midnight + minute * 60_000) : [],
  );
  const walls = [...edges.filter((edge) => edge > wall), midnight + dayMs];
  const periods = entries.flatMap((entry) => (entry.kind === "period" ? [entry.from, entry.to] : []));
  const instants = [...walls.map((edge) => instantOf(zone, edge)), ...periods].filter((at) => at > instant);
  // Where clocks go back over a boundary, its first showing may lie behind: an hour later all is clear again.
  return Math.min(...instants, instant + dayMs);
}
