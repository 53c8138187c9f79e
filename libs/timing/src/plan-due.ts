import { countOccurrences } from "./count-occurrences.ts";
import { lastOccurrences } from "./last-occurrences.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";
import { spreadFraction, spreadOffsetMs, spreadWindowMsMax, type Occurrence, type Spread } from "./spread.ts";

/** What becomes of occurrences that a downtime made late: the newest one runs, all run (the newest `catchupMax`, oldest first), or none does. */
export const misfires = ["latest", "all", "skip"] as const;
export type Misfire = (typeof misfires)[number];

/** A schedule's timing, all of it: the rule, and what becomes of occurrences that are spread or late. */
export interface Timing {
  rule: Rule;
  scheduleId: string;
  spread: Spread | null;
  misfire: Misfire;
  /** An occurrence that is later than this is missed under every policy. Null: no limit. */
  graceMs: number | null;
}

export interface PlanDueOptions {
  timing: Timing;
  /** The stored watermark: the first occurrence that was not evaluated yet. It is taken at its word, even if the rule would no longer produce it. */
  fromAt: Instant;
  /** The database's clock. Occurrences due before it are late. */
  nowAt: Instant;
  /** The end of the look-ahead, exclusive. */
  untilAt: Instant;
  /** How many occurrences one call answers at most beyond those of a downtime, ≥ 1. */
  occurrencesMax: number;
  /** A late occurrence younger than this is the ordinary jitter of dispatchers: it runs and never counts as missed. */
  lateToleranceMs: number;
  /** How many occurrences of a downtime the policy `all` runs. */
  catchupMax: number;
}

/** The limits under which due schedules are planned, by whoever plans them. */
export const dueLimits = {
  /** Occurrences of one schedule ahead of their time or slightly late that are planned at once; the rest goes into the next call. */
  occurrencesMax: 10_000,
  /** Occurrences this late are still ordinary: a dispatcher was rescheduled. Older ones are a downtime, and the misfire policy decides. */
  lateToleranceMs: 60_000,
  catchupMax: 1_000,
} as const;

export type MissedReason = "grace" | "coalesced" | "catchup_limit" | "late";

/** A stretch of occurrences that do not run, kept as one row of the ledger however long it is. Both ends are occurrences. */
export interface Stretch<Reason extends string = string> {
  from: Instant;
  to: Instant;
  count: number;
  reason: Reason;
}

/** Every occurrence from the watermark up to, not including, `next` is either in `due` or counted in `missed`. */
export interface DuePlan {
  /** The occurrences to run, in order. Those of a downtime are due now, the others at their own time. */
  due: Occurrence[];
  missed: Stretch<MissedReason>[];
  /** The watermark to store: the first occurrence that was not evaluated, or null when the rule has no further one. */
  next: Occurrence | null;
}

/**
 * Decides what becomes of the occurrences from the watermark to `untilAt`:
 *
 * - later than `graceMs`: missed (`grace`);
 * - late by more than the tolerance: the misfire policy keeps the newest few, counted together with the slightly late ones, and the rest is missed;
 * - slightly late, or still to come: they run.
 *
 * The watermark moves on evaluation, from the instant just evaluated and never from `nowAt`, so a pass that comes late or twice finds the same occurrences. What this costs
 * is in proportion to what runs: a missed stretch is counted, not walked.
 */
export function planDue(options: PlanDueOptions): DuePlan {
  const { timing, fromAt, nowAt, untilAt, occurrencesMax, lateToleranceMs, catchupMax } = options;
  if (!(occurrencesMax >= 1)) throw new RangeError(`occurrencesMax must be at least 1 for the watermark to move, got ${occurrencesMax}`);
  const walker = new Walker(timing, fromAt);
  const graceEndAt = timing.graceMs === null ? -Infinity : Math.min(nowAt, nowAt - timing.graceMs);
  const inGrace = walker.firstDueFrom(graceEndAt);
  // Overdue: due by `nowAt - lateToleranceMs`, and before `nowAt` where there is no tolerance.
  const ordinary = laterOf(inGrace, walker.firstDueFrom(Math.min(Math.floor(nowAt - lateToleranceMs) + 1, nowAt)));

  const due: Occurrence[] = [];
  let next = ordinary;
  while (next !== null && next.dueAt < untilAt && due.length < occurrencesMax) {
    due.push(next);
    next = walker.after(next);
  }
  const endAt = Math.ceil(nowAt);
  const overdueEnd = ordinary?.at ?? endAt;
  const lateMax = { latest: 1, all: catchupMax, skip: 0 }[timing.misfire];
  let slightlyLate = due.filter(({ dueAt }) => dueAt < nowAt).length;
  // Those left to the next call count too, or it would depend on the cut how many are kept.
  for (let left = next; left !== null && left.dueAt < Math.min(nowAt, untilAt) && slightlyLate < lateMax; left = walker.after(left))
    slightlyLate += 1;
  const keptMax = Math.max(0, lateMax - slightlyLate);
  const overdueAt = inGrace?.at ?? endAt;
  const kept = walker.newest(overdueAt, overdueEnd, keptMax);
  const reason = ({ latest: "coalesced", all: "catchup_limit", skip: "late" } as const)[timing.misfire];
  const missed = [...walker.stretch(fromAt, overdueAt, "grace" as const), ...walker.stretch(overdueAt, kept[0] ?? overdueEnd, reason)];
  // Ids and instants are whole milliseconds; the database's clock is finer.
  const keptDueAt = Math.floor(nowAt);
  return { due: [...kept.map((at) => ({ at, dueAt: Math.max(at, keptDueAt) })), ...due], missed, next };
}

export interface PlanDroppedOptions {
  timing: Timing;
  /** The watermark. */
  fromAt: Instant;
  /** Occurrences due before this instant are dropped. */
  untilAt: Instant;
  /** How many of them, the newest, run after all, now. */
  keptMax: number;
  nowAt: Instant;
}

/** What becomes of occurrences that fell into a pause or into maintenance: one stretch, and those that are made up for. `next` is the watermark to go on from. */
export interface DroppedPlan {
  due: Occurrence[];
  dropped: Omit<Stretch, "reason"> | null;
  next: Occurrence | null;
}

export function planDropped({ timing, fromAt, untilAt, keptMax, nowAt }: PlanDroppedOptions): DroppedPlan {
  const walker = new Walker(timing, fromAt);
  const next = walker.firstDueFrom(untilAt);
  const endAt = next?.at ?? Math.ceil(untilAt);
  const kept = walker.newest(fromAt, endAt, keptMax);
  const [dropped = null] = walker.stretch(fromAt, kept[0] ?? endAt, "");
  const keptDueAt = Math.floor(nowAt);
  return {
    due: kept.map((at) => ({ at, dueAt: Math.max(at, keptDueAt) })),
    dropped: dropped && { from: dropped.from, to: dropped.to, count: dropped.count },
    next,
  };
}

/** The occurrence of a schedule at `at`, with the instant at which it is to start. */
export function occurrenceAt(timing: Timing, at: Instant): Occurrence {
  if (timing.spread === null) return { at, dueAt: at };
  const next = nextOccurrence(timing.rule, at);
  return { at, dueAt: at + spreadOffsetMs(timing.spread, spreadFraction(timing.scheduleId), next === null ? null : next - at) };
}

/** The first occurrence of a schedule after `after`, or null. */
export function nextDue(timing: Timing, after: Instant): Occurrence | null {
  const at = nextOccurrence(timing.rule, after);
  return at === null ? null : occurrenceAt(timing, at);
}

/** The first occurrence that is to start after `instant`: what a schedule that was looked after up to then goes on with. */
export function firstDueAfter(timing: Timing, instant: Instant): Occurrence | null {
  if (timing.spread !== null) {
    // The last one before may be spread beyond.
    const [before] = lastOccurrences(timing.rule, { from: instant - spreadWindowMsMax, to: Math.floor(instant) + 1, countMax: 1 });
    const spread = before === undefined ? null : occurrenceAt(timing, before);
    if (spread !== null && spread.dueAt > instant) return spread;
  }
  return nextDue(timing, instant);
}

/** The occurrences of a schedule from its watermark on, which counts as one whatever the rule says. */
class Walker {
  readonly #timing: Timing;
  readonly #fromAt: Instant;

  constructor(timing: Timing, fromAt: Instant) {
    this.#timing = timing;
    this.#fromAt = fromAt;
  }

  after({ at }: Occurrence): Occurrence | null {
    return nextDue(this.#timing, at);
  }

  /** The first occurrence that is to start at `dueAt` or later. */
  firstDueFrom(dueAt: Instant): Occurrence | null {
    const from = this.#fromAt;
    if (this.#timing.spread !== null && dueAt > from) {
      // The last one before may be spread beyond.
      const [before = from] = this.newest(from, dueAt, 1);
      const spread = occurrenceAt(this.#timing, before);
      if (spread.dueAt >= dueAt) return spread;
    }
    return dueAt <= from ? occurrenceAt(this.#timing, from) : nextDue(this.#timing, Math.ceil(dueAt) - 1);
  }

  /** The newest occurrences in `[from, to)`, oldest first. */
  newest(from: Instant, to: Instant, countMax: number): Instant[] {
    if (countMax <= 0 || from >= to) return [];
    const found = lastOccurrences(this.#timing.rule, { from: Math.max(from, this.#fromAt + 1), to, countMax });
    return from <= this.#fromAt && found.length < countMax ? [this.#fromAt, ...found] : found;
  }

  /** The occurrences in `[from, to)` as one stretch, or none; `from` is an occurrence. */
  stretch<Reason extends string>(from: Instant, to: Instant, reason: Reason): Stretch<Reason>[] {
    const [last] = this.newest(from, to, 1);
    if (last === undefined) return [];
    return [{ from, to: last, count: 1 + countOccurrences(this.#timing.rule, from + 1, to), reason }];
  }
}

function laterOf(a: Occurrence | null, b: Occurrence | null): Occurrence | null {
  if (a === null || b === null) return null;
  return a.at > b.at ? a : b;
}
