import type { Sql } from "@downbeat/store/connect.ts";
import { inTransaction } from "@downbeat/store/in-transaction.ts";
import { type OverdueRun, takeOverdue } from "@downbeat/store/take-overdue.ts";
import { wakeWaiting } from "@downbeat/store/wake-waiting.ts";

export interface SweepOptions {
  sql: Sql;
  batchSize: number;
  publishTimeoutMs: number;
  /** False leaves runs under an expired lease alone. */
  areLeasesJudged: boolean;
  leaseGraceMs: number;
}

export const sweepLimits = {
  /** Sent this often without any executor taking it up, a run is given up as `lost_in_queue` (rule D9b). */
  redrivesMax: 5,
  /** One delivery and eight retries (rule W13). */
  attemptsMax: 9,
} as const;

/**
 * Takes up to `batchSize` runs that were silent for too long: claimed but never sent, due for a retry, lost in the queue, or under a lease that ran out. Those answered
 * `isSendable` go to the queue again; behind the others, which are given up, the next run of their schedule has its turn.
 */
export function sweepOverdue({ sql, batchSize, publishTimeoutMs, areLeasesJudged, leaseGraceMs }: SweepOptions): Promise<OverdueRun[]> {
  return inTransaction(sql, async (transaction) => {
    const overdue = await takeOverdue(transaction, { runsMax: batchSize, publishTimeoutMs, areLeasesJudged, leaseGraceMs, ...sweepLimits });
    const givenUp = overdue.filter((run) => !run.isSendable);
    if (givenUp.length > 0) await wakeWaiting(transaction, givenUp);
    return overdue;
  });
}
