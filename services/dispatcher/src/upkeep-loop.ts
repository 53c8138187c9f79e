import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { leaveTurns } from "@downbeat/store/leave-turns.ts";
import { isTransientDatabaseError } from "@downbeat/store/transient.ts";

/** Something that dispatchers do for the installation as a whole, one at a time. */
export interface UpkeepJob {
  name: string;
  /** One step. Null: there is nothing to do. */
  runOnce(): Promise<object | null>;
}

export interface UpkeepOptions {
  /** A connection of its own, so that no claim waits for it. */
  sql: Sql;
  clock: Clock;
  log: Log;
  /** Names this process. */
  dispatcher: string;
  signal: AbortSignal;
  /** In the order in which they are looked at. */
  jobs: readonly UpkeepJob[];
}

/** Dispatchers look this often whether something is due. */
const lookEveryMs = 60_000;

/**
 * What a dispatcher does beside its passes: looks once a minute, and at its start, which job is due, and works it off step by step. After each step it rests for as long as the step took, so
 * that upkeep has half of one connection at most. Ends, without error, when the signal aborts; a step that fails is looked at again a minute later, and fails no pass.
 */
export async function upkeepLoop(options: UpkeepOptions): Promise<void> {
  const { sql, clock, log, dispatcher, signal, jobs } = options;
  while (!signal.aborted) {
    for (const job of jobs) await workOff(job, options);
    await clock.sleep(lookEveryMs, signal);
  }
  await leaveTurns(sql, dispatcher).catch((error: unknown) => {
    log.debug({ err: error }, `cannot leave a turn: ${describeError(error)}`);
  });
}

/** One step of each job that is due: for a process that makes one pass. */
export async function upkeepOnce(options: UpkeepOptions): Promise<void> {
  for (const job of options.jobs) await step(job, options);
  await leaveTurns(options.sql, options.dispatcher).catch(() => {});
}

async function workOff(job: UpkeepJob, options: UpkeepOptions): Promise<void> {
  const { clock, signal } = options;
  while (!signal.aborted) {
    const startedAtMs = clock.monotonic();
    if (!(await step(job, options))) return;
    await clock.sleep(clock.monotonic() - startedAtMs, signal);
  }
}

/** Answers whether there was something to do. */
async function step({ name, runOnce }: UpkeepJob, { log, signal }: UpkeepOptions): Promise<boolean> {
  try {
    return (await runOnce()) !== null;
  } catch (error) {
    // An outage is told by the passes, and a connection that is closed under a step that was told to stop is no news.
    const isTold = isTransientDatabaseError(error) || signal.aborted;
    log[isTold ? "debug" : "error"]({ job: name, err: error }, `cannot ${name}: ${describeError(error)}`);
    return false;
  }
}
