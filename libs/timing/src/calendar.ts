import type { Instant } from "./rule.ts";
import { nextClockChange, wallTimeAt, zoneOf, type ZoneLookup } from "./zone.ts";

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
const minuteMs = 60_000;
const dayMinutes = 1_440;

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
  const coverage = coverageOf(entries);
  if (isInside(coverage.periods, instant)) return true;
  const wall = wallTimeAt(zones(timezone), instant);
  const day = Math.floor(wall / dayMs);
  switch (stateOfDay(coverage, day)) {
    case "full":
      return true;
    case "empty":
      return false;
    case "mixed":
      return isInside(weekdayOf(coverage, day), (wall - day * dayMs) / minuteMs);
  }
}

function nextBoundaryOf({ timezone, entries }: Calendar, instant: Instant, zones: ZoneLookup): Instant {
  const coverage = coverageOf(entries);
  const zone = zones(timezone);
  const wall = wallTimeAt(zone, instant);
  const day = Math.floor(wall / dayMs);
  const state = stateOfDay(coverage, day);
  const edge =
    state === "mixed"
      ? day * dayMs + Math.min(nextEdge(weekdayOf(coverage, day), (wall - day * dayMs) / minuteMs), dayMinutes) * minuteMs
      : firstOtherDay(coverage, day, state) * dayMs;
  const boundary = Math.min(instant + edge - wall, nextEdge(coverage.periods, instant));
  // Up to the next change the clocks run evenly; what they show after it is another question.
  return nextClockChange(zone, instant, boundary)?.at ?? boundary;
}

/** Half-open stretches, in order, none of which touches another. */
type Stretches = readonly (readonly [from: number, to: number])[];

/** Entries made ready to be asked about many instants: however many there are and however they overlap, an answer takes a few steps. */
interface Coverage {
  /** Of days since 1970. */
  days: Stretches;
  /** Days of every year as month · 100 + day. */
  yearly: ReadonlySet<number>;
  /** Of minutes since midnight, by weekday from Sunday on. */
  weekly: readonly Stretches[];
  periods: Stretches;
}

/** A calendar's entries are never changed once it is made. */
const coverages = new WeakMap<readonly CalendarEntry[], Coverage>();

function coverageOf(entries: readonly CalendarEntry[]): Coverage {
  const known = coverages.get(entries);
  if (known !== undefined) return known;
  const days: [number, number][] = [];
  const yearly = new Set<number>();
  const weekly: [number, number][][] = Array.from({ length: 7 }, () => []);
  const periods: [number, number][] = [];
  for (const entry of entries) {
    switch (entry.kind) {
      case "days":
        days.push([entry.fromDay, entry.toDay + 1]);
        break;
      case "yearly":
        for (const day of daysOfYear) if (isInYearly(entry, day)) yearly.add(day);
        break;
      case "weekly":
        for (const weekday of entry.weekdays) weekly[weekday]?.push([entry.fromMinute, entry.toMinute]);
        break;
      case "period":
        periods.push([entry.from, entry.to]);
    }
  }
  const coverage = { days: join(days), yearly, weekly: weekly.map(join), periods: join(periods) };
  coverages.set(entries, coverage);
  return coverage;
}

/** Month · 100 + day, with some that no year has. */
const daysOfYear = Array.from({ length: 12 }, (_, month) => Array.from({ length: 31 }, (__, day) => (month + 1) * 100 + day + 1)).flat();

function isInYearly({ from, to }: CalendarEntry & { kind: "yearly" }, day: number): boolean {
  return from <= to ? day >= from && day <= to : day >= from || day <= to;
}

/** Makes one stretch of those that overlap or touch. */
function join(stretches: readonly (readonly [number, number])[]): Stretches {
  const joined: [number, number][] = [];
  for (const [from, to] of stretches.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

/** The first stretch that ends after `value`: the one around it, or the next. */
function findAround(stretches: Stretches, value: number): readonly [from: number, to: number] | undefined {
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [, to = Infinity] = stretches[middle] ?? [];
    if (to > value) high = middle;
    else low = middle + 1;
  }
  return stretches[low];
}

function isInside(stretches: Stretches, value: number): boolean {
  const [from = Infinity] = findAround(stretches, value) ?? [];
  return from <= value;
}

/** Where the next stretch begins or this one ends: after `value`. */
function nextEdge(stretches: Stretches, value: number): number {
  const [from = Infinity, to = Infinity] = findAround(stretches, value) ?? [];
  return from > value ? from : to;
}

/** What days, days of every year and times of the week make of a day: all of it, none of it, or a part. */
type DayState = "full" | "empty" | "mixed";

function stateOfDay(coverage: Coverage, day: number): DayState {
  if (isInside(coverage.days, day) || (coverage.yearly.size > 0 && coverage.yearly.has(dayOfYear(day)))) return "full";
  const [first, ...others] = weekdayOf(coverage, day);
  if (first === undefined) return "empty";
  return others.length === 0 && first[0] === 0 && first[1] === dayMinutes ? "full" : "mixed";
}

function weekdayOf({ weekly }: Coverage, day: number): Stretches {
  // Day 0 was a Thursday.
  return weekly[(((day + 4) % 7) + 7) % 7] ?? [];
}

function dayOfYear(day: number): number {
  const date = new Date(day * dayMs);
  return (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
}

/** Days looked at for the first that is otherwise: somewhat more than the five years after which a rule counts as ended. */
const sameDaysMax = 2_000;

function firstOtherDay(coverage: Coverage, day: number, state: DayState): number {
  let other = day + 1;
  while (other - day < sameDaysMax && stateOfDay(coverage, other) === state) other += 1;
  return other;
}
