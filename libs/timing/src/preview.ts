import { refusingCalendar } from "./calendar.ts";
import { compileCronPattern, nextWallTime } from "./cron-pattern.ts";
import { formatLocal, formatWall } from "./local-time.ts";
import { isDaylightSaving, isGap, repetitionEnd, wallTimeAfter } from "./next-cron-occurrence.ts";
import { nextUnbounded } from "./next-occurrence.ts";
import { nextDue, type Timing } from "./plan-due.ts";
import type { CronRule, Instant, Rule } from "./rule.ts";
import { nextClockChange, showingsOf, wallTimeAt, zoneOf, type Zone } from "./zone.ts";

/** An occurrence to come, as people want to see it. */
export interface PreviewedOccurrence {
  at: Instant;
  /** When it starts; later than `at` where the schedule is spread. */
  dueAt: Instant;
  /** What the clocks of the schedule's zone show at `at`, with the offset. */
  local: string;
  /** Where the clocks change: the slot it stands for was moved out of a gap, or shows twice and this is one of the two. */
  dst: "moved_out_of_gap" | "first_of_two" | "second_of_two" | null;
  /** The wall time the pattern names, where it is not the one that `local` shows. */
  slot: string | null;
}

/** An instant that the rule names and at which nothing runs. */
export interface PreviewedHole {
  at: Instant;
  local: string;
  reason: "calendar" | "dst_gap";
  /** The calendar, or what the clocks do. */
  detail: string;
}

export interface Preview {
  occurrences: PreviewedOccurrence[];
  /** In the stretch that the occurrences cover. */
  holes: PreviewedHole[];
  /** True when there were more holes than are shown. */
  isCut: boolean;
}

const holesMax = 100;
/** A rule whose calendars leave it little could be walked for a long time; holes are for looking at, not for counting. */
const holesWalkedMax = 2_000;
const dstHolesWithinMs = 2 * 366 * 86_400_000;

/** The next `count` occurrences after `after`, and what is left out between. */
export function preview(timing: Timing, after: Instant, count: number): Preview {
  const { rule } = timing;
  const zone = zoneOf(rule.kind === "cron" ? rule.timezone : "UTC");
  const occurrences: PreviewedOccurrence[] = [];
  for (let next = nextDue(timing, after); next !== null && occurrences.length < count; next = nextDue(timing, next.at)) {
    occurrences.push({ ...next, local: formatLocal(zone, next.at), ...dstOf(rule, zone, next.at) });
  }
  const until = occurrences.at(-1)?.at ?? after;
  const holes = [...calendarHoles(rule, zone, { after, until }), ...dstHoles(rule, zone, { after, until })].sort((a, b) => a.at - b.at);
  return { occurrences, holes: holes.slice(0, holesMax), isCut: holes.length > holesMax };
}

function dstOf(rule: Rule, zone: Zone, at: Instant): Pick<PreviewedOccurrence, "dst" | "slot"> {
  if (rule.kind !== "cron" || zone.isUtc) return { dst: null, slot: null };
  const pattern = compileCronPattern(rule.cronExpression);
  const wall = wallTimeAt(zone, at);
  if (nextWallTime(pattern, wall - 1) !== wall) {
    const change = nextClockChange(zone, at - 3 * 3_600_000, at);
    const gapStart = change === null ? wall : repetitionEnd(change);
    const slot = change !== null && rule.dstGap === "shift" ? at + change.offsetBeforeMs : nextWallTime(pattern, gapStart - 1);
    return { dst: "moved_out_of_gap", slot: slot === null ? null : formatWall(slot) };
  }
  const showing = showingsOf(zone, wall);
  if (showing.kind !== "twice") return { dst: null, slot: null };
  return { dst: at === showing.first ? "first_of_two" : "second_of_two", slot: null };
}

interface Stretch {
  after: Instant;
  until: Instant;
}

function calendarHoles(rule: Rule, zone: Zone, { after, until }: Stretch): PreviewedHole[] {
  const { calendars = [] } = rule;
  if (calendars.length === 0) return [];
  const holes: PreviewedHole[] = [];
  let walked = 0;
  for (let at = nextUnbounded(rule, after); at !== null && at < until && walked < holesWalkedMax; at = nextUnbounded(rule, at)) {
    walked += 1;
    const refusing = refusingCalendar(calendars, at);
    if (refusing !== null) holes.push({ at, local: formatLocal(zone, at), reason: "calendar", detail: refusing.name });
  }
  return holes;
}

/** Slots that a clock change leaves out, dated at the change. Of a sparse rule's decades only the first two years are looked through. */
function dstHoles(rule: Rule, zone: Zone, { after, until }: Stretch): PreviewedHole[] {
  if (rule.kind !== "cron" || zone.isUtc || compileCronPattern(rule.cronExpression).matchesEveryHour) return [];
  const holes: PreviewedHole[] = [];
  const end = Math.min(until, after + dstHolesWithinMs);
  for (let change = nextClockChange(zone, after, end); change !== null; change = nextClockChange(zone, change.at, end)) {
    if (isGap(change) && ((rule.dstGap ?? "run_at_gap_end") === "skip" || !isDaylightSaving(change))) {
      for (const slot of slotsBetween(rule, repetitionEnd(change), wallTimeAfter(change))) {
        holes.push({
          at: change.at,
          local: formatLocal(zone, change.at),
          reason: "dst_gap",
          detail: `${formatWall(slot)} does not exist: the clocks go from ${formatWall(repetitionEnd(change))} to ${formatWall(wallTimeAfter(change))}`,
        });
      }
    }
  }
  return holes;
}

function slotsBetween(rule: CronRule, from: number, to: number): number[] {
  const pattern = compileCronPattern(rule.cronExpression);
  const slots: number[] = [];
  for (
    let slot = nextWallTime(pattern, from - 1);
    slot !== null && slot < to && slots.length < holesMax;
    slot = nextWallTime(pattern, slot)
  )
    slots.push(slot);
  return slots;
}
