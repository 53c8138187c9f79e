import type { Clock } from "./clock.ts";
import { describeError, type Log } from "./log.ts";
import type { Random } from "./random.ts";

export interface BackOffOptions<Result = unknown> {
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
  /** What is being tried, for the log line: "claim due schedules", "receive messages". */
  action: string;
  /** Errors that waiting cannot mend (a bug, a refused permission) are thrown at once. Default: everything is worth waiting for. */
  isTransient?: (error: unknown) => boolean;
  /** What the log line says of an error. Default, and where it answers nothing: the error's message. */
  describe?: (error: unknown) => string | undefined;
  firstDelayMs?: number;
  delayMsMax?: number;
  /** Shared by all callers that do the same `action`, and kept between calls. Default: one of its own. */
  outage?: Outage;
  /** Whether a result proves that the outage is over: one that never needed what was away does not. Default: always. */
  isProof?: (result: Result, failure: unknown) => boolean;
}

/**
 * How far the back-off of one action has come. Loops that share it tell an outage once: whoever fails while another waits for the next step waits with it and says nothing.
 */
export class Outage {
  failures = 0;
  lastFailure: unknown;
  /** On the monotonic clock. */
  nextTryAtMs = Number.NEGATIVE_INFINITY;
}

/** Thrown by `keepTrying` when its signal aborts before an attempt succeeded. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

/**
 * Calls `act` until it succeeds, waiting 0.5 s, 1 s, 2 s … 15 s (plus up to 20 %) between tries. Writes exactly one log line per step, and one when it
 * recovers, so that an outage of Postgres or SQS reads as a short story and not as a flood. Never ends the process: a crash loop only adds
 * start-up load to the outage.
 */
export async function keepTrying<Result>(act: () => Promise<Result>, options: BackOffOptions<Result>): Promise<Result> {
  const { clock, random, log, signal, action, isTransient = () => true, firstDelayMs = 500, delayMsMax = 15_000 } = options;
  const { outage = new Outage(), isProof = () => true, describe } = options;
  for (;;) {
    if (signal.aborted) throw new StoppedError(`stopped while trying to ${action}`);
    try {
      const result = await act();
      if (outage.failures > 0 && isProof(result, outage.lastFailure)) {
        log.info({ action, failures: outage.failures }, `recovered: ${action}`);
        outage.failures = 0;
      }
      return result;
    } catch (error) {
      if (signal.aborted) throw new StoppedError(`stopped while trying to ${action}`, { cause: error });
      if (!isTransient(error)) throw error;
      const nowMs = clock.monotonic();
      if (nowMs >= outage.nextTryAtMs) {
        const delayMs = Math.min(delayMsMax, firstDelayMs * 2 ** outage.failures) * (1 + 0.2 * random());
        outage.failures += 1;
        outage.lastFailure = error;
        outage.nextTryAtMs = nowMs + delayMs;
        const { failures } = outage;
        log.warn(
          { action, failures, retryInMs: Math.round(delayMs), err: error },
          `cannot ${action}: ${describe?.(error) ?? describeError(error)}`,
        );
      }
      await clock.sleep(outage.nextTryAtMs - nowMs, signal);
    }
  }
}
