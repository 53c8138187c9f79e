import { setImmediate as nextTurn } from "node:timers/promises";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";

export const backfillLimits = {
  /** Occurrences of the stretch, those that are left out included. */
  occurrencesMax: 100_000,
  /**
   * Days (UTC) on which it makes runs. Each is a partition of the ledger, which every look at live runs has to visit from then on: measured, 100 of them cost a sweep 45 ms and a lease 15 ms
   * more, 400 of them 235 ms and 440 ms.
   */
  daysMax: 100,
} as const;

/** Instants that the plan lists at each end. */
const listedMax = 10;

/** Occurrences walked in one go, some 20 ms of work: other requests have their turn in between. */
const walkedAtOnce = 2_000;

/** What a run costs besides its call: recording, the gap between two passes, sending and leasing. Measured with calls of 2 ms: 0.12 to 0.14 s, whatever the concurrency. */
const overheadMs = 150;

/** Assumed for a schedule that no run is known of. */
const meanRunMsDefault = 1_000;

const dayMs = 86_400_000;

/** Occurrences that need no run of the backfill, as instants in ms since 1970. */
export interface SettledOccurrences {
  succeeded: ReadonlySet<Instant>;
  /** Their run has not ended. */
  underWay: ReadonlySet<Instant>;
  /** Occurrences from here on have yet to become runs, by the schedule's own doing. Infinity: there are none. */
  unclaimedFrom: Instant;
}

export interface BackfillPlan {
  from: Instant;
  to: Instant;
  occurrences: number;
  leftOut: { succeeded: number; underWay: number };
  planned: number;
  /** The first of the planned, and the last of the others. */
  first: Instant[];
  last: Instant[];
}

/** Why a stretch cannot be one backfill. `upTo` is where the first of several may end. */
export type BackfillExcess =
  /** `count` is null where counting would take as long as walking. */
  { kind: "occurrences"; count: number | null; upTo: Instant } | { kind: "days"; upTo: Instant };

export type PlanResult = { ok: true; plan: BackfillPlan } | { ok: false; excess: BackfillExcess };

/** Which occurrences of `rule` in `(from, to]` a backfill would run. Throws `UnusableRuleError` for a rule that cannot be evaluated. */
export async function planBackfill(
  rule: Rule,
  { from, to }: { from: Instant; to: Instant },
  settled: SettledOccurrences,
): Promise<PlanResult> {
  const planned: Instant[] = [];
  const leftOut = { succeeded: 0, underWay: 0 };
  const days = new Set<number>();
  let occurrences = 0;
  let previous = from;
  for (let at = nextOccurrence(rule, from); at !== null && at <= to; previous = at, at = nextOccurrence(rule, at)) {
    if (occurrences === backfillLimits.occurrencesMax) {
      return { ok: false, excess: { kind: "occurrences", count: await countAll(rule, from, to), upTo: previous } };
    }
    occurrences += 1;
    if (occurrences % walkedAtOnce === 0) await nextTurn();
    if (settled.succeeded.has(at)) leftOut.succeeded += 1;
    else if (settled.underWay.has(at) || at >= settled.unclaimedFrom) leftOut.underWay += 1;
    else {
      days.add(Math.floor(at / dayMs));
      if (days.size > backfillLimits.daysMax) return { ok: false, excess: { kind: "days", upTo: previous } };
      planned.push(at);
    }
  }
  const first = planned.slice(0, listedMax);
  const last = planned.slice(Math.max(listedMax, planned.length - listedMax));
  return { ok: true, plan: { from, to, occurrences, leftOut, planned: planned.length, first, last } };
}

/** A year at a time, for the other requests' sake. A rule with calendars can only be walked: nobody waits for that. */
async function countAll(rule: Rule, from: Instant, to: Instant): Promise<number | null> {
  if ((rule.calendars ?? []).length > 0) return null;
  let count = 0;
  for (let start = from + 1; start <= to; start += 366 * dayMs) {
    count += countOccurrences(rule, start, Math.min(start + 366 * dayMs, to + 1));
    await nextTurn();
  }
  return count;
}

export interface BackfillEstimate {
  meanRunMs: number | null;
  runsPerMinute: number;
  seconds: number;
}

/** How long a backfill will take, from how long the schedule's newest runs took, in ms; null: none is known. */
export function estimateBackfill({
  planned,
  concurrency,
  meanRunMs,
}: {
  planned: number;
  concurrency: number;
  meanRunMs: number | null;
}): BackfillEstimate {
  const runMs = (meanRunMs ?? meanRunMsDefault) + overheadMs;
  const runsPerMinute = (concurrency * 60_000) / runMs;
  // The last round is as long as the others, however few runs are left for it.
  const seconds = (Math.ceil(planned / concurrency) * runMs) / 1_000;
  return {
    meanRunMs: meanRunMs === null ? null : Math.round(meanRunMs),
    runsPerMinute: Math.round(runsPerMinute * 10) / 10,
    seconds: Math.round(seconds),
  };
}
