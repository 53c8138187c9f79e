import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";

export interface PlanDueOptions {
  rule: Rule;
  /** The stored watermark: the first occurrence that was not evaluated yet. It is taken at its word, even if the rule would no longer produce it. */
  fromAt: Instant;
  /** The database's clock. Occurrences before it are late. */
  nowAt: Instant;
  /** The end of the look-ahead, exclusive. */
  untilAt: Instant;
  /** How many occurrences one call evaluates at most, ≥ 1. */
  occurrencesMax: number;
  /** A late occurrence younger than this is the ordinary jitter of dispatchers: it runs and never counts as missed. */
  lateToleranceMs: number;
}

/** The limits under which due schedules are planned, by whoever plans them. */
export const dueLimits = {
  /** Occurrences of one schedule evaluated at once; what a long downtime leaves beyond that goes into the next call. */
  occurrencesMax: 10_000,
  /** Occurrences this late are still ordinary: a dispatcher was rescheduled. Older ones are a downtime, and the misfire policy decides. */
  lateToleranceMs: 60_000,
} as const;

/** A stretch of missed occurrences, kept as one row of the ledger however long it is. Both ends are occurrences. */
export interface MissedRange {
  from: Instant;
  to: Instant;
  count: number;
}

/** Every occurrence from `fromAt` up to, not including, `nextAt` is either in `runAt` or counted in `missed`. */
export interface DuePlan {
  /** The occurrences to run, in order. */
  runAt: Instant[];
  missed: MissedRange | null;
  /** The watermark to store: the first occurrence that was not evaluated, or null when the rule has no further one. */
  nextAt: Instant | null;
}

/**
 * Decides what becomes of the occurrences in `[fromAt, untilAt)` under the misfire policy `latest`: all that are not late run, and so do the slightly late ones;
 * of the older ones only the newest runs, and only if nothing newer is late. The rest is one missed range.
 *
 * The watermark moves on evaluation, from the instant just evaluated and never from `nowAt`, so a pass that comes late or twice finds the same occurrences. When
 * `occurrencesMax` cuts a downtime short, the overdue ones evaluated so far are missed, because a newer late one is known to follow; the call that reaches the newest
 * late one runs it. However often it is cut, the sum is the same.
 */
export function planDue(options: PlanDueOptions): DuePlan {
  const { rule, fromAt, nowAt, untilAt, occurrencesMax, lateToleranceMs } = options;
  if (!(occurrencesMax >= 1)) throw new RangeError(`occurrencesMax must be at least 1 for the watermark to move, got ${occurrencesMax}`);
  const evaluated: Instant[] = [];
  let nextAt: Instant | null = fromAt;
  while (nextAt !== null && nextAt < untilAt && evaluated.length < occurrencesMax) {
    evaluated.push(nextAt);
    nextAt = nextOccurrence(rule, nextAt);
  }
  const overdueCount = evaluated.filter((at) => at < nowAt && at <= nowAt - lateToleranceMs).length;
  const following = evaluated[overdueCount] ?? nextAt;
  const isNewestLate = following === null || following >= nowAt;
  const missedCount = isNewestLate ? Math.max(0, overdueCount - 1) : overdueCount;
  return { runAt: evaluated.slice(missedCount), missed: rangeOf(evaluated.slice(0, missedCount)), nextAt };
}

function rangeOf(occurrences: readonly Instant[]): MissedRange | null {
  const [from] = occurrences;
  const to = occurrences.at(-1);
  return from === undefined || to === undefined ? null : { from, to, count: occurrences.length };
}
