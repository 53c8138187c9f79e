import type { TransactionSql } from "./connect.ts";
import type { InsertedRun } from "./insert-claimed.ts";
import type { BackfillState, LockedBackfill } from "./lock-backfill.ts";
import { runId } from "./run-id.ts";
import { backfillTrigger } from "./trigger.ts";

/** What a look at a backfill changes. Instants in ms since 1970. */
export interface Feeding {
  /** Occurrences that become runs, due now. */
  instants: readonly number[];
  /** The first occurrence that was not looked at, or null when none is left. */
  nextAt: number | null;
  /** Of the runs under way, those that have not ended. */
  openRuns: readonly string[];
  /** How the others did. */
  succeeded: number;
  failed: number;
  state: BackfillState;
  /** True when its last run has ended. */
  isFinished: boolean;
  /** How long this dispatcher has to send the runs before the sweep sends them again. */
  publishTimeoutMs: number;
}

/**
 * Writes what a look at a backfill found: its further runs (`pending`), where it stands and, when it is finished, an entry in the schedule's journal, in one statement of the transaction that
 * locked it. Answers the runs. A run of a backfill is retried as often as any, however late: it was late from the start.
 *
 * Index: primary keys of runs and backfills. Locks: new rows, and the backfill's, which this transaction already holds. Bounded by the backfill's concurrency.
 */
export function writeFed(sql: TransactionSql, backfill: LockedBackfill, feeding: Feeding): Promise<InsertedRun[]> {
  const { tenantId, backfillId, scheduleId, revision } = backfill;
  const { instants, nextAt, openRuns, succeeded, failed, state, isFinished, publishTimeoutMs } = feeding;
  const triggerId = `${backfillTrigger}${backfillId}`;
  return sql<InsertedRun[]>`
    with made as (
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, trigger_id, due_at, state, sweep_at)
      select ${tenantId}, id, ${scheduleId}, ${revision}, to_timestamp(at / 1000), ${triggerId}, date_trunc('milliseconds', now()), 'pending',
        now() + ${publishTimeoutMs}::float8 * interval '1 millisecond'
      from unnest(${instants.map((at) => runId(scheduleId, at, triggerId))}::uuid[], ${instants as number[]}::float8[]) as given (id, at)
      on conflict (tenant_id, id) do nothing
      returning tenant_id, id, scheduled_for, due_at
    ), looked_at as (
      update downbeat.backfills
      set next_at = to_timestamp(${nextAt}::float8 / 1000), open_runs = ${openRuns as string[]}::uuid[] || array(select id from made), fed = fed + (select count(*) from made),
        succeeded = succeeded + ${succeeded}::int, failed = failed + ${failed}::int, state = ${state},
        finished_at = case when ${isFinished} then now() end
      where tenant_id = ${tenantId} and id = ${backfillId}
      returning planned, fed, succeeded, failed
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason, detail)
      select ${tenantId}, ${scheduleId}, 'dispatcher', 'backfill', ${state},
        jsonb_build_object('backfill', ${backfillId}::text, 'planned', planned, 'fed', fed, 'succeeded', succeeded, 'failed', failed)
      from looked_at where ${isFinished}
    )
    select tenant_id as "tenantId", id as "runId", (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor",
      (extract(epoch from due_at) * 1000)::float8 as "dueAt"
    from made`;
}
