import type { TransactionSql } from "./connect.ts";
import type { RunReason } from "./run-states.ts";

export interface WithdrawRunsOptions {
  tenantId: string;
  runIds: readonly string[];
  reason: RunReason;
  /** Who does it, for the journal. */
  actor: string;
}

/**
 * Cancels those of the runs that nobody is calling: not started, or waiting for a retry. One that is being called is left to its lease holder.
 *
 * Index: primary key, of the days of these runs only. Locks: rows in id order. Bounded by `runIds`.
 */
export async function withdrawRuns(sql: TransactionSql, { tenantId, runIds, reason, actor }: WithdrawRunsOptions): Promise<void> {
  if (runIds.length === 0) return;
  await sql`
    with waiting as materialized (
      select tenant_id, id from downbeat.runs
      where tenant_id = ${tenantId} and id = any(${runIds as string[]}::uuid[]) and state in ('pending', 'queued', 'retrying')
      order by id
      for update
    ), canceled as (
      update downbeat.runs run
      set state = 'canceled', reason = ${reason}, finished_at = now(), sweep_at = null
      from waiting
      where run.tenant_id = waiting.tenant_id and run.id = waiting.id and run.id = any(${runIds as string[]}::uuid[])
      returning run.tenant_id, run.id
    )
    insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
    select tenant_id, id, ${actor}, 'canceled', ${reason} from canceled`;
}
