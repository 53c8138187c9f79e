import { failpoint } from "@downbeat/runtime/failpoint.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { ensurePartitions } from "@downbeat/store/ensure-partitions.ts";
import { inTransaction } from "@downbeat/store/in-transaction.ts";
import { type InsertedRun, insertClaimed } from "@downbeat/store/insert-claimed.ts";
import { completeSchedules } from "@downbeat/store/complete-schedules.ts";
import { endPauses } from "@downbeat/store/end-pauses.ts";
import { lockDue } from "@downbeat/store/lock-due.ts";
import { pauseBroken } from "@downbeat/store/pause-broken.ts";
import { spendBudgets } from "@downbeat/store/tenant-budgets.ts";
import { planClaim } from "./plan-claim.ts";
import { readClaimState } from "./read-claim-state.ts";

export interface ClaimDueOptions {
  sql: Sql;
  log: Log;
  horizonMs: number;
  batchSize: number;
  publishTimeoutMs: number;
}

export interface ClaimedBatch {
  runs: InsertedRun[];
  /** Occurrences that were recorded without a run: missed or skipped. */
  missed: number;
  /** The database's clock at the claim, in ms since 1970. */
  nowAt: number;
  /** True when more may be due. */
  hasMore: boolean;
}

/**
 * ①② One batch: lock what is due, compute its occurrences, write runs and watermarks, commit. One short transaction with no network call but Postgres's own inside (rule D2):
 * a crash at any point leaves all of it or nothing.
 */
export async function claimDue({ sql, log, horizonMs, batchSize, publishTimeoutMs }: ClaimDueOptions): Promise<ClaimedBatch> {
  const batch = await inTransaction(sql, async (transaction): Promise<ClaimedBatch> => {
    const due = await lockDue(transaction, { horizonMs, schedulesMax: batchSize });
    const [first] = due;
    if (first === undefined) return { runs: [], missed: 0, nowAt: 0, hasMore: false };
    await failpoint("dispatcher.claim-locked");
    const state = await readClaimState(transaction, due);
    const plan = planClaim(due, horizonMs, state);
    for (const { schedule, problem } of plan.broken) {
      log.error({ schedule: schedule.scheduleId, tenant: schedule.tenantId }, `paused a schedule that cannot be evaluated: its ${problem}`);
    }
    for (const { schedule, error } of plan.failed) {
      log.error(
        { schedule: schedule.scheduleId, tenant: schedule.tenantId, err: error },
        `cannot plan a schedule: ${describeError(error)}`,
      );
    }
    if (plan.broken.length > 0) {
      await pauseBroken(
        transaction,
        plan.broken.map(({ schedule, problem }) => ({ tenantId: schedule.tenantId, scheduleId: schedule.scheduleId, problem })),
      );
    }
    await ensurePartitions(
      transaction,
      [...plan.runs, ...plan.stretches].map((run) => run.scheduledFor),
      first.nowAt,
    );
    const runs = await insertClaimed(transaction, { ...plan, publishTimeoutMs });
    if (plan.resumed.length > 0) await endPauses(transaction, plan.resumed);
    if (plan.usedUp.length > 0) await completeSchedules(transaction, plan.usedUp, "max_runs");
    await spendBudgets(transaction, plan.spent);
    const missed = plan.stretches.reduce((sum, stretch) => sum + stretch.rangeCount, 0);
    // Those that failed stay due; counting them as progress would lock them again and again.
    const hasMore = plan.isCut || due.length - plan.failed.length >= batchSize;
    return { runs, missed, nowAt: first.nowAt, hasMore };
  });
  if (batch.runs.length > 0) await failpoint("dispatcher.claim-committed");
  return batch;
}
