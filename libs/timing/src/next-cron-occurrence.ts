import { compileCronPattern, nextWallTime, type CronPattern } from "./cron-pattern.ts";
import type { CronRule, DstGap, DstOverlap, Instant } from "./rule.ts";
import { nextClockChange, showingsOf, wallTimeAt, zoneOf, type ClockChange, type WallTime, type Zone, type ZoneLookup } from "./zone.ts";

/** A zone that skips more than this corrects its place on the map (Apia lost 2011-12-30); what would have been due then is not due at all. */
export const daylightSavingMsMax = 3 * 3_600_000;

/**
 * The first occurrence strictly after `after`, without the rule's bounds. The pattern says which wall times match; this file says which instants they are when
 * clocks change:
 *
 * - A pattern that leaves out at least one hour names nominal slots. A slot whose wall time is skipped fires as `dstGap` says, one whose wall time shows twice as
 *   `dstOverlap` says; by default each fires once, as cron users expect. Two slots that come to lie on one instant are one occurrence.
 * - A pattern that matches every hour follows real time: each instant whose wall time matches fires, so there is neither a hole nor a double.
 */
export function nextCronOccurrence(rule: CronRule, after: Instant, zones: ZoneLookup = zoneOf): Instant | null {
  const pattern = compileCronPattern(rule.cronExpression);
  const zone = zones(rule.timezone);
  if (zone.isUtc) return nextWallTime(pattern, after);
  if (pattern.matchesEveryHour) return nextInRealTime(pattern, zone, after);
  const { dstGap = "run_at_gap_end", dstOverlap = "first" } = rule;
  return nextNominalSlot({ pattern, zone, dstGap, dstOverlap }, after);
}

interface NominalSlots {
  pattern: CronPattern;
  zone: Zone;
  dstGap: DstGap;
  dstOverlap: DstOverlap;
}

/**
 * Slots come in the order of their wall times, and nearly always that is the order of their instants. It is not right after a change: slots shifted out of a gap lie among those
 * that follow it, and second showings begin when the clocks are put back.
 */
function nextNominalSlot(slots: NominalSlots, after: Instant): Instant | null {
  const wall = wallTimeAt(slots.zone, after);
  const inOrder = nextSlotAfter(slots, wall, after);
  const outOfOrder =
    slots.dstGap === "shift" ? (nextShifted(slots, after) ?? nextRepeated(slots, wall, after)) : nextRepeated(slots, wall, after);
  return earlier(inOrder, outOfOrder);
}

/** The first instant after `after` of a slot whose wall time is later than `wall`. */
function nextSlotAfter({ pattern, zone, dstGap, dstOverlap }: NominalSlots, wall: WallTime, after: Instant): Instant | null {
  let from = wall;
  for (;;) {
    const slot = nextWallTime(pattern, from);
    if (slot === null) return null;
    const showing = showingsOf(zone, slot);
    if (showing.kind === "once") return showing.at;
    if (showing.kind === "twice") {
      if (dstOverlap !== "last" && showing.first > after) return showing.first;
      if (dstOverlap !== "first") return showing.last;
      // While wall times show for the second time, their slots have fired already: go on where the repetition ends.
      from = repetitionEnd(showing.change) - 1;
    } else {
      const { change } = showing;
      from = wallTimeAfter(change) - 1;
      if (!isDaylightSaving(change) || dstGap === "skip") continue;
      if (dstGap === "run_at_gap_end") return change.at;
      return earlier(slot - change.offsetBeforeMs, nextSlotAfter({ pattern, zone, dstGap, dstOverlap }, from, after));
    }
  }
}

/** Just after a gap: the next slot shifted out of it. */
function nextShifted({ pattern, zone }: NominalSlots, after: Instant): Instant | null {
  const change = nextClockChange(zone, after - daylightSavingMsMax, after);
  if (change === null || !isGap(change) || !isDaylightSaving(change)) return null;
  const slot = nextWallTime(pattern, after + change.offsetBeforeMs);
  return slot !== null && slot < wallTimeAfter(change) ? slot - change.offsetBeforeMs : null;
}

/** While wall times show for the first time of two: the first slot of their second showing. */
function nextRepeated({ pattern, zone, dstOverlap }: NominalSlots, wall: WallTime, after: Instant): Instant | null {
  if (dstOverlap === "first") return null;
  const showing = showingsOf(zone, wall);
  if (showing.kind !== "twice" || after >= showing.change.at) return null;
  const slot = nextWallTime(pattern, wallTimeAfter(showing.change) - 1);
  return slot !== null && slot < repetitionEnd(showing.change) ? slot - showing.change.offsetAfterMs : null;
}

function nextInRealTime(pattern: CronPattern, zone: Zone, after: Instant): Instant | null {
  const from = wallTimeAt(zone, after);
  const next = nextMatch(pattern, zone, from, after);
  const showing = showingsOf(zone, from);
  const isFirstShowing = showing.kind === "twice" && after < showing.change.at;
  if (!isFirstShowing || (next !== null && next < showing.change.at)) return next;
  // The clocks go back before `next`, to wall times that the search above had already passed.
  return nextMatch(pattern, zone, wallTimeAfter(showing.change) - 1, showing.change.at - 1);
}

/** The first instant after `after` that shows a matching wall time later than `from`. */
function nextMatch(pattern: CronPattern, zone: Zone, from: WallTime, after: Instant): Instant | null {
  for (let wall = nextWallTime(pattern, from); wall !== null;) {
    const showing = showingsOf(zone, wall);
    if (showing.kind === "once") return showing.at;
    if (showing.kind === "twice") return showing.first > after ? showing.first : showing.last;
    wall = nextWallTime(pattern, wallTimeAfter(showing.change) - 1);
  }
  return null;
}

/** True when the clocks are put forward. */
export function isGap({ offsetBeforeMs, offsetAfterMs }: ClockChange): boolean {
  return offsetAfterMs > offsetBeforeMs;
}

/** False for the jump of a zone that changes its place on the map. */
export function isDaylightSaving({ offsetBeforeMs, offsetAfterMs }: ClockChange): boolean {
  return offsetAfterMs - offsetBeforeMs <= daylightSavingMsMax;
}

/** What the clocks show right after a change: the end of a gap, or the start of a repetition. */
export function wallTimeAfter(change: ClockChange): WallTime {
  return change.at + change.offsetAfterMs;
}

/** Where wall times stop showing for the second time. */
export function repetitionEnd(change: ClockChange): WallTime {
  return change.at + change.offsetBeforeMs;
}

function earlier(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
