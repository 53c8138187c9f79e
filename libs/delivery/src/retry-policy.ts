import type { Outcome } from "./outcome.ts";
import { retryAfterMs } from "./retry-after.ts";

/** Waits after the 1st, 2nd … failed attempt (rule W13): nine attempts over some 18 hours. */
export const retryDelaysMs: readonly number[] = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000];

const jitterShare = 0.2;
/** After 429 and after timeouts a target needs air. */
const busyDelayMsMin = 60_000;
const retryAfterMsMax = 86_400_000;
/** A limited outcome is retried this many times. */
const limitedRetriesMax = 2;

export interface RetryInput {
  /** The attempt that just ended, 1-based. */
  attempt: number;
  outcome: Exclude<Outcome, { kind: "success" }>;
  /** Uniform in [0, 1). */
  random: () => number;
  nowMs: number;
  /** Default: one more than there are delays. */
  attemptsMax?: number;
  /** Default `retryDelaysMs`; the last one repeats. */
  delaysMs?: readonly number[];
  /** How many earlier attempts of this run ended `limited`. Default: all of them, which gives up soonest. */
  limitedBefore?: number;
  /** No attempt starts at or after this instant: 72 h after the occurrence (rule W13). */
  endsAtMs?: number;
  /** The next fire of the schedule. No attempt starts at or after it either: a scheduler must not deliver what is stale (rule W13). */
  nextFireAtMs?: number;
}

/** `reason` is a `RunReason` of the store. */
export type RetryDecision =
  | { readonly retry: true; readonly delayMs: number }
  | { readonly retry: false; readonly reason: "attempts_exhausted" | "superseded" | "rejected" | "misconfigured" | "gone" | "blocked" };

/** Decides whether and when a run is tried again after a failed attempt (rules W12–W14). Pure. */
export function nextDelay(input: RetryInput): RetryDecision {
  const { attempt, outcome, nowMs, delaysMs = retryDelaysMs, attemptsMax = delaysMs.length + 1, limitedBefore = attempt - 1 } = input;
  switch (outcome.kind) {
    case "gone":
      return { retry: false, reason: "gone" };
    case "blocked":
      return { retry: false, reason: "blocked" };
    case "permanent":
      return { retry: false, reason: outcome.runReason };
    case "limited":
      if (limitedBefore >= limitedRetriesMax) return { retry: false, reason: "rejected" };
      break;
    case "transient":
      break;
  }
  if (attempt >= attemptsMax) return { retry: false, reason: "attempts_exhausted" };
  const delayMs = delayAfter(input, delaysMs);
  if (input.nextFireAtMs !== undefined && nowMs + delayMs >= input.nextFireAtMs) return { retry: false, reason: "superseded" };
  if (input.endsAtMs !== undefined && nowMs + delayMs >= input.endsAtMs) return { retry: false, reason: "attempts_exhausted" };
  return { retry: true, delayMs };
}

function delayAfter({ attempt, outcome, random, nowMs }: RetryInput, delaysMs: readonly number[]): number {
  const plannedMs = delaysMs[Math.min(attempt, delaysMs.length) - 1] ?? 0;
  const baseMs = isBusy(outcome) ? Math.max(plannedMs, busyDelayMsMin) : plannedMs;
  // Only ever added: a jitter that shortens would break the minimum a target was promised.
  const ownMs = Math.ceil(baseMs * (1 + jitterShare * random()));
  const askedMs = outcome.retryAfter === null ? undefined : retryAfterMs(outcome.retryAfter, nowMs);
  return askedMs === undefined ? ownMs : Math.max(ownMs, Math.min(askedMs, retryAfterMsMax));
}

function isBusy({ code }: Outcome): boolean {
  return code === "http_429" || code === "timeout" || code === "body_too_slow" || code === "connect_timeout";
}
