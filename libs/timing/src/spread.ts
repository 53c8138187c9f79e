import { createHash } from "node:crypto";
import type { Instant } from "./rule.ts";

/**
 * A herd (10,000 daily schedules at midnight) is spread by starting each schedule a little later than its occurrence, by an offset of its own within a window: a
 * duration, or a share of the time to its next occurrence.
 */
export type Spread = { kind: "duration"; windowMs: number } | { kind: "share"; share: number };

/** The longest window. A run of yesterday's occurrence is nobody's today. */
export const spreadWindowMsMax = 86_400_000;

/**
 * Where in its window a schedule starts: from 0 up to, not including, 1. A hash of its id, so that it is the same in every process and after every restart, and
 * ids spread evenly.
 */
export function spreadFraction(scheduleId: string): number {
  return createHash("sha256").update(scheduleId).digest().readUInt32BE(0) / 2 ** 32;
}

/**
 * The offset of an occurrence, in whole ms ≥ 0: never early, and never as far as the schedule's next occurrence, which follows after `gapMs` (null: there is none).
 */
export function spreadOffsetMs(spread: Spread | null, fraction: number, gapMs: number | null): number {
  if (spread === null) return 0;
  const wishedMs = spread.kind === "duration" ? spread.windowMs : spread.share * (gapMs ?? 0);
  const windowMs = Math.min(wishedMs, gapMs ?? Infinity, spreadWindowMsMax);
  return Math.floor(fraction * windowMs);
}

/** An occurrence of a rule and when it is to start: the same instant, unless the schedule is spread. */
export interface Occurrence {
  at: Instant;
  dueAt: Instant;
}
