import type { Calendar } from "./calendar.ts";

/** A point in time: whole milliseconds since the Unix epoch. */
export type Instant = number;

/** The longest interval, in seconds: every year has its occurrence, and a watermark is never further away than that. */
export const intervalSecondsMax = 366 * 86_400;

/** When a schedule is due. One rule describes every occurrence it will ever have; `nextOccurrence` walks them. */
export type Rule = CronRule | IntervalRule | OnceRule;

/** A window around any rule. Both ends are inclusive: an occurrence exactly at `startsAt` or exactly at `endsAt` exists. */
export interface RuleBounds {
  startsAt?: Instant;
  endsAt?: Instant;
  /** Holes in the rule, and windows outside of which it does not exist; see `calendar.ts`. */
  calendars?: readonly Calendar[];
}

/** What a nominal slot does that a clock change skips: it fires when the gap ends, by as much later as the clocks jump, or not at all. */
export const dstGaps = ["run_at_gap_end", "shift", "skip"] as const;
export type DstGap = (typeof dstGaps)[number];

/** What a nominal slot does whose wall time shows twice. */
export const dstOverlaps = ["first", "last", "both"] as const;
export type DstOverlap = (typeof dstOverlaps)[number];

export interface CronRule extends RuleBounds {
  kind: "cron";
  /**
   * 5 fields (minute, hour, day of month, month, day of week), 6 (seconds first) or 7 (year last), with names, `L`, `W`, `#`, `?` and `@daily` as croner
   * reads them, and `L-3` for three days before the last of the month. As in every cron, day of month and day of week are alternatives when both are restricted; `+` before the day of week means both.
   */
  cronExpression: string;
  /** An IANA name, as the user wrote it. */
  timezone: string;
  /** Default `run_at_gap_end`. A pattern that matches every hour follows real time and asks neither policy. */
  dstGap?: DstGap;
  /** Default `first`. */
  dstOverlap?: DstOverlap;
}

export interface IntervalRule extends RuleBounds {
  kind: "interval";
  intervalSeconds: number;
  /** The k-th occurrence is at `anchorAt + k · intervalSeconds`, k ≥ 1, in absolute time: daylight saving does not move it. */
  anchorAt: Instant;
}

export interface OnceRule extends RuleBounds {
  kind: "once";
  runAt: Instant;
}

/**
 * A rule that cannot be evaluated: its expression or its zone is not (or, after an upgrade of the time zone database, no longer) known. `validateRule` reports
 * it to whoever creates the rule; for a stored rule the caller must set the schedule aside, because waiting does not mend it.
 */
export class UnusableRuleError extends Error {
  override readonly name = "UnusableRuleError";
  /** The API's name of the field at fault. */
  readonly field: "cron_expression" | "timezone";

  constructor(field: "cron_expression" | "timezone", message: string) {
    super(message);
    this.field = field;
  }
}
