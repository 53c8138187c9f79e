import type { Clock } from "./clock.ts";
import { describeError, type Log } from "./log.ts";
import type { Random } from "./random.ts";

export interface BackOffOptions {
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
  /** What is being tried, for the log line: "claim due schedules", "receive messages". */
  action: string;
  /** Errors that waiting cannot mend (a bug, a refused permission) are thrown at once. Default: everything is worth waiting for. */
  isTransient?: (error: unknown) => boolean;
  firstDelayMs?: number;
  delayMsMax?: number;
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
export async function keepTrying<Result>(act: () => Promise<Result>, options: BackOffOptions): Promise<Result> {
  const { clock, random, log, signal, action, isTransient = () => true, firstDelayMs = 500, delayMsMax = 15_000 } = options;
  for (let failures = 0; ; failures += 1) {
    if (signal.aborted) throw new StoppedError(`stopped while trying to ${action}`);
    try {
      const result = await act();
      if (failures > 0) log.info({ action, failures }, `recovered: ${action}`);
      return result;
    } catch (error) {
      if (signal.aborted) throw new StoppedError(`stopped while trying to ${action}`, { cause: error });
      if (!isTransient(error)) throw error;
      const delayMs = Math.min(delayMsMax, firstDelayMs * 2 ** failures) * (1 + 0.2 * random());
      log.warn({ action, failures: failures + 1, retryInMs: Math.round(delayMs), err: error }, `cannot ${action}: ${describeError(error)}`);
      await clock.sleep(delayMs, signal);
    }
  }
}
