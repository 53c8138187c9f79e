import { compileCronPattern, nextWallTime, type CronPattern } from "./cron-pattern.ts";
import type { CronRule, Instant } from "./rule.ts";
import { showingsOf, wallTimeAt, zoneOf, type ClockChange, type WallTime, type Zone } from "./zone.ts";

/** A zone that skips more than this corrects its place on the map (Apia lost 2011-12-30); what would have been due then is not due at all. */
const daylightSavingMsMax = 3 * 3_600_000;

/**
 * The first occurrence strictly after `after`, without the rule's bounds. The pattern says which wall times match; this file says which instants they are when
 * clocks change, in the way cron users expect:
 *
 * - A pattern that leaves out at least one hour names nominal slots, each of which fires once: a slot in a gap at the gap's end, a slot that shows twice at its
 *   first showing. Two slots that come to lie on one instant are one occurrence.
 * - A pattern that matches every hour follows real time: each instant whose wall time matches fires, so there is neither a hole nor a double.
 */
export function nextCronOccurrence(rule: CronRule, after: Instant): Instant | null {
  const pattern = compileCronPattern(rule.cronExpression);
  const zone = zoneOf(rule.timezone);
  if (zone.isUtc) return nextWallTime(pattern, after);
  return pattern.matchesEveryHour ? nextInRealTime(pattern, zone, after) : nextNominalSlot(pattern, zone, after);
}

function nextNominalSlot(pattern: CronPattern, zone: Zone, after: Instant): Instant | null {
  let from = wallTimeAt(zone, after);
  const showing = showingsOf(zone, from);
  // While wall times show for the second time, their slots have fired already: go on where the repetition ends.
  if (showing.kind === "twice" && after >= showing.change.at) from = repetitionEnd(showing.change) - 1;
  for (;;) {
    const slot = nextWallTime(pattern, from);
    if (slot === null) return null;
    const due = showingsOf(zone, slot);
    if (due.kind === "once") return due.at;
    if (due.kind === "twice") return due.first;
    if (due.change.offsetAfterMs - due.change.offsetBeforeMs <= daylightSavingMsMax) return due.change.at;
    from = wallTimeAfter(due.change) - 1;
  }
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

/** What the clocks show right after a change: the end of a gap, or the start of a repetition. */
function wallTimeAfter(change: ClockChange): WallTime {
  return change.at + change.offsetAfterMs;
}

/** Where wall times stop showing for the second time. */
function repetitionEnd(change: ClockChange): WallTime {
  return change.at + change.offsetBeforeMs;
}
