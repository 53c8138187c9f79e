import { keepTrying, Outage, StoppedError } from "@downbeat/runtime/back-off.ts";
import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import { readyPartitions } from "@downbeat/store/ensure-partitions.ts";
import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { type PassCounts, type PassOptions, runPass } from "./pass.ts";
import { SendError } from "./send-claimed.ts";
import type { WakeSignal } from "./wake-signal.ts";

export interface DispatchLoopOptions extends PassOptions {
  random: Random;
  /** Tells that passes are tried. */
  progress: LoopProgress;
  wake: WakeSignal;
}

/** Every process looks after the coming days' partitions this often, and at its start. */
const partitionsEveryMs = 3_600_000;

/** Notifications come in bursts when schedules are created in bulk; a pass for each would be work for nothing. */
const passGapMs = 100;

/**
 * Passes every `PASS_INTERVAL_MS`, anchored to the start, and at once when the API says that something became due, until `DISPATCH_FOR_SECONDS` are over or the signal aborts.
 * An outage of Postgres or the queue is waited out, with one log line a step. Rejects when the time was up before an outage was over, so that the Job counts as failed; with
 * `DISPATCH_FOR_SECONDS=0`, at the first failure.
 */
export async function dispatchLoop(options: DispatchLoopOptions): Promise<void> {
  const { sql, clock, random, log, config, signal: stop, wake, progress } = options;
  const forSeconds = config.DISPATCH_FOR_SECONDS;
  if (forSeconds === 0) {
    await readyPartitions(sql);
    await runPass(options);
    return;
  }
  const startMs = clock.monotonic();
  const minute = new AbortController();
  if (forSeconds !== "forever") void clock.sleep(forSeconds * 1_000, stop).then(() => minute.abort());
  const signal = AbortSignal.any([stop, minute.signal]);
  const trying = { clock, random, log, signal, describe: describeSchemaBehind };
  const outage = new Outage();
  let partitionsAtMs = Number.NEGATIVE_INFINITY;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  const pass = async () => {
    progress.note();
    try {
      if (clock.monotonic() - partitionsAtMs >= partitionsEveryMs) {
        await readyPartitions(sql);
        partitionsAtMs = clock.monotonic();
      }
      return await runPass({ ...options, signal, areLeasesJudged: clock.monotonic() - failedAtMs >= config.LEASE_GRACE_SECONDS * 1_000 });
    } catch (error) {
      if (!(error instanceof SendError)) failedAtMs = clock.monotonic();
      throw error;
    }
  };
  try {
    while (!signal.aborted) {
      await keepTrying(pass, { ...trying, action: "dispatch", outage, isProof });
      const elapsedMs = clock.monotonic() - startMs;
      const untilNextMs = config.PASS_INTERVAL_MS - (elapsedMs % config.PASS_INTERVAL_MS);
      await clock.sleep(Math.min(passGapMs, untilNextMs), signal);
      if (!signal.aborted) await wake.sleep(Math.max(0, untilNextMs - passGapMs), clock, signal);
    }
    // The last pass had nothing to send, which does not make the outage before it a success.
    if (outage.failures > 0) throw new StoppedError("the time was up before an outage was over", { cause: outage.lastFailure });
  } catch (error) {
    // Told to stop during an outage: nothing to report that was not logged. Out of time during one: the minute failed.
    if (error instanceof StoppedError && stop.aborted) return;
    throw error;
  }
}

/** After the queue was away, a pass that had nothing to send proves nothing: what could not be sent waits for its publish timeout. */
function isProof({ sent }: PassCounts, failure: unknown): boolean {
  return sent > 0 || !(failure instanceof SendError);
}
