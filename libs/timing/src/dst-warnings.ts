import { compileCronPattern, nextWallTime, type CronPattern } from "./cron-pattern.ts";
import { formatWall } from "./local-time.ts";
import { isDaylightSaving, isGap, repetitionEnd, wallTimeAfter } from "./next-cron-occurrence.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";
import { nextClockChange, zoneOf, type ClockChange, type WallTime } from "./zone.ts";

/** What a clock change to come does to a rule: the slots that it skips or repeats, and the instants at which they run. */
export interface DstWarning {
  /** When the clocks change. */
  at: Instant;
  kind: "gap" | "overlap";
  /** The wall times that are skipped or shown twice, from the first up to, not including, the second. */
  from: WallTime;
  to: WallTime;
  /** The first few slots of the rule in there. */
  slots: { slot: WallTime; runsAt: Instant[] }[];
  /** All of it in words. */
  text: string;
}

/** Changes looked at, and how far ahead: every zone that changes its clocks does so within a year or so. */
const changesLookedAt = 2;
const lookAheadMs = 800 * 86_400_000;
const slotsShown = 5;

/** The warnings of a rule for the next two clock changes of its zone. A rule without a slot in a gap or repetition has none, nor has one that follows real time. */
export function dstWarnings(rule: Rule, after: Instant): DstWarning[] {
  if (rule.kind !== "cron") return [];
  const zone = zoneOf(rule.timezone);
  const pattern = compileCronPattern(rule.cronExpression);
  if (zone.isUtc || pattern.matchesEveryHour) return [];
  const warnings: DstWarning[] = [];
  let from = after;
  for (let looked = 0; looked < changesLookedAt; looked += 1) {
    const change = nextClockChange(zone, from, after + lookAheadMs);
    if (change === null) break;
    from = change.at;
    const slots = slotsIn(pattern, change);
    if (slots.length > 0) warnings.push(toWarning(rule, { change, slots }));
  }
  return warnings;
}

/** The wall times that a change skips or repeats. */
function affected(change: ClockChange): [WallTime, WallTime] {
  return isGap(change) ? [repetitionEnd(change), wallTimeAfter(change)] : [wallTimeAfter(change), repetitionEnd(change)];
}

function slotsIn(pattern: CronPattern, change: ClockChange): WallTime[] {
  const [from, to] = affected(change);
  const slots: WallTime[] = [];
  for (
    let slot = nextWallTime(pattern, from - 1);
    slot !== null && slot < to && slots.length < slotsShown;
    slot = nextWallTime(pattern, slot)
  )
    slots.push(slot);
  return slots;
}

function toWarning(rule: Extract<Rule, { kind: "cron" }>, { change, slots }: { change: ClockChange; slots: WallTime[] }): DstWarning {
  const [from, to] = affected(change);
  const { dstGap = "run_at_gap_end", dstOverlap = "first" } = rule;
  const kind = isGap(change) ? "gap" : "overlap";
  // Bounds and calendars may leave out what the policy would run: the rule itself is asked.
  const runs = (at: Instant) => (nextOccurrence(rule, at - 1) === at ? [at] : []);
  const instants = (slot: WallTime): Instant[] => {
    const [before, after] = [slot - change.offsetBeforeMs, slot - change.offsetAfterMs];
    if (kind === "overlap") return { first: runs(before), last: runs(after), both: [...runs(before), ...runs(after)] }[dstOverlap];
    if (!isDaylightSaving(change)) return [];
    return { run_at_gap_end: runs(change.at), shift: runs(before), skip: [] }[dstGap];
  };
  const shown = slots.map((slot) => ({ slot, runsAt: instants(slot) }));
  const policy = kind === "gap" ? `dst_gap ${dstGap}` : `dst_overlap ${dstOverlap}`;
  const told = shown.map(
    ({ slot, runsAt }) =>
      `${formatWall(slot).slice(11)} ${runsAt.length === 0 ? "does not run" : `runs at ${runsAt.map((at) => new Date(at).toISOString()).join(" and ")}`}`,
  );
  const what = kind === "gap" ? "do not exist" : "are shown twice";
  return {
    at: change.at,
    kind,
    from,
    to,
    slots: shown,
    text: `${formatWall(from)} to ${formatWall(to)} ${what} in ${rule.timezone}; by ${policy} ${told.join(", ")}`,
  };
}
