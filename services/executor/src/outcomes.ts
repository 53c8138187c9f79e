import { keepTrying, Outage } from "@downbeat/runtime/back-off.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { MicroBatch } from "@downbeat/runtime/micro-batch.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { pauseFailing } from "@downbeat/store/pause-failing.ts";
import { type AttemptRecord, type RecordedOutcome, recordOutcomes } from "@downbeat/store/record-outcomes.ts";
import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { isTransientDatabaseError, retryLostRace } from "@downbeat/store/transient.ts";
import { wakeDispatchers } from "@downbeat/store/wake-dispatchers.ts";
import { wakeWaiting } from "@downbeat/store/wake-waiting.ts";

export interface OutcomesOptions {
  sql: Sql;
  clock: Clock;
  random: Random;
  log: Log;
  executor: string;
  delayMs: number;
  /** Gives up waiting for Postgres: what is not recorded then is an attempt of unknown outcome, which the sweep will find. */
  signal: AbortSignal;
}

/** Beyond a hundred rows a statement gains little (docs/decisions/0004). */
const recordsMax = 100;

/**
 * ⑧ Writes outcomes in micro-batches, up to a hundred or 20 ms at a time. Answers when the outcome is committed, so that the message is deleted after it and never before
 * (rule X5). While Postgres is away outcomes wait here; there are never more of them than leases.
 */
export class Outcomes {
  readonly #options: OutcomesOptions;
  readonly #batch: MicroBatch<AttemptRecord>;
  readonly #outage = new Outage();
  /** What follows from outcomes, one after the other. */
  #following: Promise<void> = Promise.resolve();
  /** Lease tokens whose write found the lease taken. */
  readonly #fenced = new Set<string>();
  /** Lease tokens whose outcome Postgres would not take, with what it said. */
  readonly #refused = new Map<string, unknown>();

  constructor(options: OutcomesOptions) {
    this.#options = options;
    this.#batch = new MicroBatch({
      clock: options.clock,
      itemsMax: recordsMax,
      delayMs: options.delayMs,
      flushesMax: 2,
      flush: (records) => this.#record(records),
    });
  }

  /**
   * Resolves when the outcome is in the ledger; false when this executor no longer held the run and nothing was written. Rejects when Postgres will not take it, or the signal
   * aborted first.
   */
  async record(record: AttemptRecord): Promise<boolean> {
    const { leaseToken } = record;
    await this.#batch.add(record);
    const refusal = this.#refused.get(leaseToken);
    if (this.#refused.delete(leaseToken)) throw refusal;
    return !this.#fenced.delete(leaseToken);
  }

  async drained(): Promise<void> {
    await this.#batch.drained();
    await this.#following;
  }

  async #record(records: readonly AttemptRecord[]): Promise<void> {
    const { sql, clock, random, log, executor, signal } = this.#options;
    let recorded: RecordedOutcome[];
    try {
      recorded = await keepTrying(() => retryLostRace(() => recordOutcomes(sql, records, executor)), {
        clock,
        random,
        log,
        signal,
        action: "record outcomes",
        outage: this.#outage,
        isTransient: isTransientDatabaseError,
        describe: describeSchemaBehind,
      });
    } catch (error) {
      // One row that Postgres will not take must not cost the other ninety-nine theirs.
      if (records.length === 1 || signal.aborted) throw error;
      log.error({ err: error, records: records.length }, `cannot record outcomes together, trying each alone: ${describeError(error)}`);
      const refuse =
        ({ leaseToken }: AttemptRecord) =>
        (reason: unknown) =>
          void this.#refused.set(leaseToken, reason);
      await Promise.all(records.map((record) => this.#record([record]).catch(refuse(record))));
      return;
    }
    const tokens = new Set(recorded.map(({ leaseToken }) => leaseToken));
    for (const { leaseToken } of records) if (!tokens.has(leaseToken)) this.#fenced.add(leaseToken);
    this.#following = this.#following.then(() => this.#followUp(recorded));
  }

  /**
   * What an end means for others: the next run in line has its turn, a backfill goes on, and a schedule that failed too often is paused. Rare, and nobody waits for it; what is missed is made up for,
   * by the waiting run's own look and by the next failure.
   */
  async #followUp(recorded: readonly RecordedOutcome[]): Promise<void> {
    const { sql, log, executor } = this.#options;
    const awaited = recorded.filter(({ mayBeAwaited }) => mayBeAwaited);
    const isBackfillToFeed = recorded.some(({ isBackfill, state }) => isBackfill && state !== "retrying");
    const failed = recorded.filter(({ mayPause }) => mayPause);
    try {
      if (awaited.length > 0) await retryLostRace(() => wakeWaiting(sql, awaited));
      if (isBackfillToFeed) await wakeDispatchers(sql);
      if (failed.length === 0) return;
      for (const { tenantId, scheduleId, failures } of await retryLostRace(() => pauseFailing(sql, failed, executor))) {
        log.warn({ tenant: tenantId, schedule: scheduleId, failures }, "paused a schedule that failed too often");
      }
    } catch (error) {
      log.warn({ err: error }, `cannot follow up on outcomes: ${describeError(error)}`);
    }
  }
}
