import { LruCache } from "./lru-cache.ts";
import { quote } from "./quote.ts";
import { UnusableRuleError, type Instant } from "./rule.ts";

/** A clock face: date and time without a zone, counted in milliseconds as if it were UTC. */
export type WallTime = number;

/** The instant at which a zone's clocks are put forward (a gap of wall times that never show) or back (wall times that show twice). */
export interface ClockChange {
  at: Instant;
  offsetBeforeMs: number;
  offsetAfterMs: number;
}

/** The instants at which a zone's clocks show one wall time. */
export type Showing =
  | { kind: "once"; at: Instant }
  | { kind: "twice"; first: Instant; last: Instant; change: ClockChange }
  | { kind: "never"; change: ClockChange };

export interface Zone {
  /** The name `Intl` uses; aliases share it. */
  readonly name: string;
  /** True for UTC under any of its names (`Etc/UTC`, `GMT`, `Zulu` …). */
  readonly isUtc: boolean;
  /** What `offsetMsAt` answers, without its memory: from `Intl`, or from what another version of the time zone database said (`zone-moves.ts`). */
  readonly readOffsetMs: (instant: Instant) => number;
  /** What is known of each UTC day: its offset in milliseconds, or the change that falls in it. */
  readonly days: Map<number, number | ClockChange>;
}

/** Finds the zone of a name. What evaluates a rule takes one, so that a rule can be evaluated with the zones of another version of the time zone database. */
export type ZoneLookup = (timezone: string) => Zone;

const dayMs = 86_400_000;

/** Offsets lie within −12 h … +14 h, so the instants of a wall time are less than this away from it read as UTC. */
const offsetBoundMs = 16 * 3_600_000;

const changeStepMs = 5 * dayMs;

/** Days remembered for a zone. A fleet of schedules asks for the same few days over and over; a forecast of years must not keep them all. */
const daysMax = 1_000;

/** Zones by the name they were asked for. Bounded, because users may write one zone in any mixture of cases. */
const zonesByName = new LruCache<Zone>(1_000);

/** Zones by `Intl`'s name: as many as the time zone database has, about 400. */
const zones = new Map<string, Zone>();

/** The zone of an IANA name, in any case. Throws `UnusableRuleError` when `Intl` does not know it. */
export function zoneOf(timezone: string): Zone {
  return zonesByName.getOrCreate(timezone, openZone);
}

function openZone(timezone: string): Zone {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  } catch {
    throw new UnusableRuleError("timezone", `${quote(timezone)} is not a known time zone`);
  }
  const name = format.resolvedOptions().timeZone;
  const zone = zones.get(name) ?? {
    name,
    isUtc: name === "UTC",
    readOffsetMs: (instant: Instant) => askIntl(name, format, instant),
    days: new Map(),
  };
  zones.set(name, zone);
  return zone;
}

export function wallTimeAt(zone: Zone, instant: Instant): WallTime {
  return instant + offsetMsAt(zone, instant);
}

/** When the zone's clocks show `wall`. */
export function showingsOf(zone: Zone, wall: WallTime): Showing {
  const offsetBeforeMs = offsetMsAt(zone, wall - offsetBoundMs);
  const offsetAfterMs = offsetMsAt(zone, wall + offsetBoundMs);
  if (offsetBeforeMs === offsetAfterMs) return { kind: "once", at: wall - offsetBeforeMs };
  const change = changeNear(zone, wall);
  const before = wall - offsetBeforeMs;
  const after = wall - offsetAfterMs;
  const isShownBefore = before < change.at;
  const isShownAfter = after >= change.at;
  if (isShownBefore && isShownAfter) return { kind: "twice", first: before, last: after, change };
  if (isShownBefore) return { kind: "once", at: before };
  if (isShownAfter) return { kind: "once", at: after };
  return { kind: "never", change };
}

/** The first clock change in `(after, until]`, or null. */
export function nextClockChange(zone: Zone, after: Instant, until: Instant): ClockChange | null {
  if (zone.isUtc) return null;
  // A search over years would only wash what claims ask for out of the memory of days.
  const readOffsetMs = until - after > changeStepMs ? zone.readOffsetMs : (instant: Instant) => offsetMsAt(zone, instant);
  // Changes are at least six days apart (see `changeNear`), so five days with one offset at both ends have none inside.
  let offsetMs = readOffsetMs(after);
  for (let from = after; from < until; from += changeStepMs) {
    const to = Math.min(from + changeStepMs, until);
    const offsetBeforeMs = offsetMs;
    offsetMs = readOffsetMs(to);
    if (offsetBeforeMs === offsetMs) continue;
    for (let index = Math.floor(from / dayMs); index <= Math.floor(to / dayMs); index += 1) {
      const day = dayOf(zone, index);
      if (typeof day !== "number" && day.at > after && day.at <= until) return day;
    }
  }
  return null;
}

/** The instant at which the zone's clocks first show `wall`; where they never do, the end of the gap. */
export function instantOf(zone: Zone, wall: WallTime): Instant {
  const showing = showingsOf(zone, wall);
  switch (showing.kind) {
    case "once":
      return showing.at;
    case "twice":
      return showing.first;
    case "never":
      return showing.change.at;
  }
}

/** Milliseconds to add to `instant` to get what the zone's clocks show. */
export function offsetMsAt(zone: Zone, instant: Instant): number {
  const day = dayOf(zone, Math.floor(instant / dayMs));
  if (typeof day === "number") return day;
  return instant < day.at ? day.offsetBeforeMs : day.offsetAfterMs;
}

/** The one change around `wall`. Since 1970 the changes of every zone have been at least six days apart, so there is no second one. */
function changeNear(zone: Zone, wall: WallTime): ClockChange {
  for (let index = Math.floor((wall - offsetBoundMs) / dayMs); index <= Math.floor((wall + offsetBoundMs) / dayMs); index += 1) {
    const day = dayOf(zone, index);
    if (typeof day !== "number") return day;
  }
  throw new Error(`the offsets of ${zone.name} differ around ${new Date(wall).toISOString()}, but no day between has a change`);
}

function dayOf(zone: Zone, index: number): number | ClockChange {
  const known = zone.days.get(index);
  if (known !== undefined) return known;
  const day = readDay(zone, index * dayMs);
  if (zone.days.size >= daysMax) zone.days.clear();
  zone.days.set(index, day);
  return day;
}

function readDay(zone: Zone, dayStart: Instant): number | ClockChange {
  const offsetBeforeMs = zone.readOffsetMs(dayStart);
  const offsetAfterMs = zone.readOffsetMs(dayStart + dayMs);
  if (offsetBeforeMs === offsetAfterMs) return offsetBeforeMs;
  // Changes fall on whole seconds: bisect until two neighbouring seconds differ.
  let before = dayStart;
  let at = dayStart + dayMs;
  while (at - before > 1_000) {
    const middle = before + Math.floor((at - before) / 2_000) * 1_000;
    if (zone.readOffsetMs(middle) === offsetBeforeMs) before = middle;
    else at = middle;
  }
  return { at, offsetBeforeMs, offsetAfterMs };
}

/** Takes a few microseconds; `Intl` answers `…, GMT-03:30`. */
function askIntl(name: string, format: Intl.DateTimeFormat, instant: Instant): number {
  const parts = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(instant));
  if (parts === null) throw new Error(`Intl gave no offset for ${name}`);
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = parts;
  const size = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === "-" ? -size : size;
}
