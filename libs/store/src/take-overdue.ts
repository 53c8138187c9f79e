import type { TransactionSql } from "./connect.ts";

/** A run that was silent for too long, and what the sweep decided. */
export interface OverdueRun {
  tenantId: string;
  runId: string;
  /** ms since 1970 */
  dueAt: number;
  /** Attempts made so far. */
  attempt: number;
  nowAt: number;
  /** Why it was taken up: never sent, due for its retry, lost in the queue, or its executor's lease ran out. */
  found: "unsent" | "retry_due" | "lost_in_queue" | "lease_lost";
  /** False when it has been given up (`failed`). */
  isSendable: boolean;
}

export interface TakeOverdueOptions {
  runsMax: number;
  /** How long this dispatcher has to send what it took before the next sweep takes it again. */
  publishTimeoutMs: number;
  /** Sent this often without any executor taking it up, a run is given up. */
  redrivesMax: number;
  attemptsMax: number;
  /**
   * False leaves runs under an expired lease alone: after an outage their executors come first, for they may be about to record what they did meanwhile.
   */
  areLeasesJudged: boolean;
  /** For the same reason no lease counts as lost until Postgres itself has been up for this long. */
  leaseGraceMs: number;
  /** Only this tenant's runs (`dispatch --dry-run --tenant`). */
  tenantId?: string | undefined;
}

/**
 * The sweep: one statement takes up every run whose `sweep_at` has passed, decides by its state, and answers those to send again.
 *
 * - `pending`: the dispatcher that claimed it died before it sent, or the queue refused, or it waited for its turn beside other runs of its schedule: send.
 * - `retrying`: its next attempt is near: send, with the delay until then.
 * - `queued`: its message is lost, or waits in a backlog. Back to `pending` and sent again, at most `redrivesMax` times; each time it is sent it is waited for twice as
 *   long (`mark-queued.ts`), because a backlog must not feed itself.
 * - `running`: its executor is gone. The attempt's outcome is `unknown`; try again with the same id, unless it was the last attempt.
 *
 * Index: `runs_sweep_at` of each partition, from its low end; final runs are not in it. Locks: the taken rows, SKIP LOCKED, so sweeps of several dispatchers and
 * the executors' writes do not wait for each other. The decision and the write are one statement, so nothing can change in between (rule D10).
 */
export function takeOverdue(sql: TransactionSql, options: TakeOverdueOptions): Promise<OverdueRun[]> {
  const { runsMax, publishTimeoutMs, redrivesMax, attemptsMax, areLeasesJudged, leaseGraceMs, tenantId } = options;
  return sql<OverdueRun[]>`
    with overdue as materialized (
      select tenant_id, id, schedule_id, trigger_id, state, attempt, redrives, due_at, started_at, executor,
        case state when 'pending' then 'unsent' when 'retrying' then 'retry_due' when 'queued' then 'lost_in_queue' else 'lease_lost' end as found,
        (state = 'queued' and redrives >= ${redrivesMax}) or (state = 'running' and attempt >= ${attemptsMax}) as is_given_up
      from downbeat.runs
      where sweep_at <= now()
        and (state <> 'running' or (${areLeasesJudged} and now() - pg_postmaster_start_time() > ${leaseGraceMs}::float8 * interval '1 millisecond'))
        ${tenantId === undefined ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by sweep_at
      limit ${runsMax}
      for update skip locked
    ), decided as (
      update downbeat.runs run
      set state = case when is_given_up then 'failed' when overdue.state = 'running' then 'retrying' when overdue.state = 'queued' then 'pending' else overdue.state end,
        -- A run on its way waits for its turn no longer; should it have to again, it says so.
        reason = case when not is_given_up then nullif(run.reason, 'overlap') when overdue.state = 'queued' then 'lost_in_queue' else 'attempts_exhausted' end,
        due_at = case when overdue.state = 'running' and not is_given_up then now() else run.due_at end,
        redrives = case when overdue.state = 'queued' and not is_given_up then run.redrives + 1 else run.redrives end,
        lease_token = null,
        finished_at = case when is_given_up then now() end,
        sweep_at = case when not is_given_up then now() + ${publishTimeoutMs}::float8 * interval '1 millisecond' end
      from overdue
      where run.tenant_id = overdue.tenant_id and run.id = overdue.id
      returning run.tenant_id, run.id, run.due_at, run.attempt, overdue.found, not overdue.is_given_up as is_sendable
    ), lost_attempts as (
      insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, code, started_at, finished_at, executor)
      select tenant_id, id, attempt, 'unknown', 'lease_lost', started_at, now(), executor
      from overdue where state = 'running'
      on conflict do nothing
    ), journal as (
      insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
      select tenant_id, id, 'dispatcher', case when is_given_up then 'failed' when state = 'running' then 'retrying' else 'pending' end,
        case when is_given_up and state = 'running' then 'attempts_exhausted' else found end
      from overdue where state in ('queued', 'running')
    ), counted as (
      insert into downbeat.schedule_stats as stats (tenant_id, schedule_id, failed, consecutive_failures, last_run_at, last_state, last_error)
      select tenant_id, schedule_id, count(*), count(*), now(), 'failed', max(found)
      from overdue
      where is_given_up and trigger_id not like 'backfill %'
      group by tenant_id, schedule_id
      order by schedule_id
      on conflict (tenant_id, schedule_id) do update set
        failed = stats.failed + excluded.failed, consecutive_failures = stats.consecutive_failures + excluded.consecutive_failures,
        last_run_at = excluded.last_run_at, last_state = excluded.last_state, last_error = excluded.last_error
    )
    select tenant_id as "tenantId", id as "runId", (extract(epoch from due_at) * 1000)::float8 as "dueAt", attempt,
      (extract(epoch from now()) * 1000)::float8 as "nowAt", found, is_sendable as "isSendable"
    from decided`;
}
