import type { TransactionSql } from "./connect.ts";

/** An occurrence that becomes a run. Instants in ms since 1970. */
export interface ClaimedRun {
  tenantId: string;
  runId: string;
  scheduleId: string;
  scheduleRevision: number;
  scheduledFor: number;
}

/** A stretch of occurrences that no longer run: one row, dated at its last occurrence. */
export interface MissedStretch extends ClaimedRun {
  rangeFrom: number;
  rangeCount: number;
}

/** How far a schedule has been evaluated: its next watermark, or null when the rule has no further occurrence. */
export interface Watermark {
  tenantId: string;
  scheduleId: string;
  nextRunAt: number | null;
}

export interface Claim {
  runs: readonly ClaimedRun[];
  missed: readonly MissedStretch[];
  watermarks: readonly Watermark[];
  /** How long the claiming dispatcher has to send the runs before the sweep sends them again. */
  publishTimeoutMs: number;
}

export interface InsertedRun {
  tenantId: string;
  runId: string;
  scheduledFor: number;
}

/**
 * ② Writes a claim: runs (`pending`), missed stretches and watermarks, in one statement of the transaction that locked the schedules. Answers the runs that are
 * new; an occurrence that already has its row (another dispatcher was first) is left alone, except one that an edit or pause had canceled before it started and that the
 * schedule, resumed, wants after all.
 *
 * Index: primary keys of runs and schedule_due. Locks: new rows, and schedule_due rows this transaction already holds. Bounded by the claim's size.
 */
export function insertClaimed(sql: TransactionSql, { runs, missed, watermarks, publishTimeoutMs }: Claim): Promise<InsertedRun[]> {
  return sql<InsertedRun[]>`
    with claimed as (
      insert into downbeat.runs as run (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, sweep_at)
      select tenant_id, id, schedule_id, revision, to_timestamp(at / 1000), to_timestamp(at / 1000), 'pending',
        now() + ${publishTimeoutMs}::float8 * interval '1 millisecond'
      from unnest(
        ${runs.map((run) => run.tenantId)}::uuid[], ${runs.map((run) => run.runId)}::uuid[], ${runs.map((run) => run.scheduleId)}::uuid[],
        ${runs.map((run) => run.scheduleRevision)}::int[], ${runs.map((run) => run.scheduledFor)}::float8[]
      ) as given (tenant_id, id, schedule_id, revision, at)
      on conflict (tenant_id, id) do update
        set state = 'pending', reason = null, schedule_revision = excluded.schedule_revision, sweep_at = excluded.sweep_at, finished_at = null
        where run.state = 'canceled' and run.reason = 'schedule_changed' and run.attempt = 0
      returning run.tenant_id, run.id, run.scheduled_for
    ), missed as (
      insert into downbeat.runs
        (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, reason, range_from, range_count, finished_at)
      select tenant_id, id, schedule_id, revision, to_timestamp(at / 1000), to_timestamp(at / 1000), 'missed', 'coalesced',
        to_timestamp(range_from / 1000), range_count, now()
      from unnest(
        ${missed.map((run) => run.tenantId)}::uuid[], ${missed.map((run) => run.runId)}::uuid[], ${missed.map((run) => run.scheduleId)}::uuid[],
        ${missed.map((run) => run.scheduleRevision)}::int[], ${missed.map((run) => run.scheduledFor)}::float8[],
        ${missed.map((run) => run.rangeFrom)}::float8[], ${missed.map((run) => run.rangeCount)}::int[]
      ) as given (tenant_id, id, schedule_id, revision, at, range_from, range_count)
      on conflict do nothing
    ), watermark as (
      select * from unnest(
        ${watermarks.map((mark) => mark.tenantId)}::uuid[], ${watermarks.map((mark) => mark.scheduleId)}::uuid[],
        ${watermarks.map((mark) => mark.nextRunAt)}::float8[]
      ) as given (tenant_id, schedule_id, next_run_at)
    ), advanced as (
      update downbeat.schedule_due due
      set next_run_at = to_timestamp(watermark.next_run_at / 1000)
      from watermark
      where due.tenant_id = watermark.tenant_id and due.schedule_id = watermark.schedule_id and watermark.next_run_at is not null
    ), finished as (
      delete from downbeat.schedule_due due
      using watermark
      where due.tenant_id = watermark.tenant_id and due.schedule_id = watermark.schedule_id and watermark.next_run_at is null
      returning due.tenant_id, due.schedule_id
    ), completed as (
      update downbeat.schedules rule
      set completed_at = now(), updated_at = now()
      from finished
      where rule.tenant_id = finished.tenant_id and rule.id = finished.schedule_id
    )
    select tenant_id as "tenantId", id as "runId", (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor"
    from claimed`;
}
