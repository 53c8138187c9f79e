import { compileCronPattern, countInDay } from "./cron-pattern.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { CronRule, Instant, IntervalRule, Rule } from "./rule.ts";
import { nextClockChange, wallTimeAt, zoneOf, type Zone } from "./zone.ts";

const dayMs = 86_400_000;

/**
 * How many occurrences the rule has in `[from, to)`. Without walking them where that is possible: intervals by division, cron rules a day at a time, because a day
 * without a clock change has as many occurrences as its fields have combinations. A month of a minutely rule takes some thirty steps. Rules with calendars are walked.
 */
export function countOccurrences(rule: Rule, from: Instant, to: Instant): number {
  const { startsAt = -Infinity, endsAt = Infinity, calendars = [] } = rule;
  const start = Math.max(from, startsAt);
  const end = Math.min(to, endsAt + 1);
  if (!(start < end)) return 0;
  if (calendars.length > 0 || rule.kind === "once") return walk(rule, start, end);
  return rule.kind === "interval" ? countInterval(rule, start, end) : countCron(rule, start, end);
}

function countInterval({ anchorAt, intervalSeconds }: IntervalRule, start: Instant, end: Instant): number {
  const upTo = (instant: Instant) => Math.max(0, Math.floor((instant - anchorAt) / (intervalSeconds * 1_000)));
  return upTo(end - 1) - upTo(start - 1);
}

function countCron(rule: CronRule, start: Instant, end: Instant): number {
  const pattern = compileCronPattern(rule.cronExpression);
  const zone = zoneOf(rule.timezone);
  // Finding a day costs as much as a step or two, so rules of few occurrences a day are walked.
  if (countInDay(pattern, 0, dayMs) <= 2) return walk(rule, start, end);
  let count = 0;
  for (let cursor = start; cursor < end;) {
    const next = nextOccurrence(rule, cursor - 1);
    if (next === null || next >= end) break;
    const wall = wallTimeAt(zone, next);
    const midnight = Math.floor(wall / dayMs) * dayMs;
    const dayEnd = next + (midnight + dayMs - wall);
    if (isPlainDay(zone, next - (wall - midnight), dayEnd)) {
      count += countInDay(pattern, wall - midnight, Math.min(dayEnd, end) - next + wall - midnight);
      cursor = dayEnd;
    } else {
      // A day and its neighbourhood with a clock change: slots may be moved, dropped or doubled.
      const walkedTo = Math.min(end, dayEnd);
      count += walk(rule, next, walkedTo);
      cursor = walkedTo;
    }
  }
  return count;
}

/** True when no clock change is so near that it could move slots into the day or out of it. */
function isPlainDay(zone: Zone, dayStart: Instant, dayEnd: Instant): boolean {
  return nextClockChange(zone, dayStart - dayMs, dayEnd + dayMs) === null;
}

function walk(rule: Rule, start: Instant, end: Instant): number {
  let count = 0;
  for (let at = nextOccurrence(rule, start - 1); at !== null && at < end; at = nextOccurrence(rule, at)) count += 1;
  return count;
}
