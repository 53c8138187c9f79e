import { keepTrying, Outage } from "@downbeat/runtime/back-off.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { MicroBatch } from "@downbeat/runtime/micro-batch.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { type AttemptRecord, recordOutcomes } from "@downbeat/store/record-outcomes.ts";
import { isTransientDatabaseError, retryLostRace } from "@downbeat/store/transient.ts";

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

  drained(): Promise<void> {
    return this.#batch.drained();
  }

  async #record(records: readonly AttemptRecord[]): Promise<void> {
    const { sql, clock, random, log, executor, signal } = this.#options;
    let recorded: Set<string>;
    try {
      recorded = await keepTrying(() => retryLostRace(() => recordOutcomes(sql, records, executor)), {
        clock,
        random,
        log,
        signal,
        action: "record outcomes",
        outage: this.#outage,
        isTransient: isTransientDatabaseError,
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
    for (const { leaseToken } of records) if (!recorded.has(leaseToken)) this.#fenced.add(leaseToken);
  }
}
