import type { TransactionSql } from "./connect.ts";
import type { RunReason } from "./run-states.ts";

/** What a run is a run of. Instants in ms since 1970. */
export interface ClaimedOccurrence {
  tenantId: string;
  runId: string;
  scheduleId: string;
  scheduleRevision: number;
  scheduledFor: number;
}

/** An occurrence that becomes a run. */
export interface ClaimedRun extends ClaimedOccurrence {
  /** When it starts: `scheduledFor`, later for a spread schedule, now for one that is made up for. */
  dueAt: number;
  /** How much later than `scheduledFor` a spread schedule starts; null where it is not spread. */
  spreadMs: number | null;
  /** The schedule's next occurrence to come: no retry is planned beyond it. Null: there is none. */
  retryUntil: number | null;
}

/** A stretch of occurrences that do not run: one row, dated at its last occurrence. */
export interface ClaimedStretch extends ClaimedOccurrence {
  state: "missed" | "skipped";
  reason: RunReason;
  rangeFrom: number;
  rangeCount: number;
  /** The run that held their place. */
  blockedBy: string | null;
}

/** How far a schedule has been evaluated: its next watermark, or null when it has no further occurrence. */
export interface Watermark {
  tenantId: string;
  scheduleId: string;
  next: {
    /** The first occurrence not evaluated. */
    scheduledFor: number;
    /** When to look at it: at its due instant, or later where it is put off. */
    dueAt: number;
  } | null;
}

export interface Claim {
  runs: readonly ClaimedRun[];
  stretches: readonly ClaimedStretch[];
  watermarks: readonly Watermark[];
  /** How long the claiming dispatcher has to send the runs before the sweep sends them again. */
  publishTimeoutMs: number;
}

export interface InsertedRun {
  tenantId: string;
  runId: string;
  scheduledFor: number;
  dueAt: number;
}

/**
 * ② Writes a claim: runs (`pending`), stretches that do not run (`missed`, `skipped`) and watermarks, in one statement of the transaction that locked the schedules. Answers the runs that are
 * new; an occurrence that already has its row (another dispatcher was first) is left alone, except one that an edit or pause had canceled before it started and that the
 * schedule, resumed, wants after all.
 *
 * Index: primary keys of runs and schedule_due. Locks: new rows, and schedule_due rows this transaction already holds. Bounded by the claim's size.
 */
export function insertClaimed(sql: TransactionSql, { runs, stretches, watermarks, publishTimeoutMs }: Claim): Promise<InsertedRun[]> {
  return sql<InsertedRun[]>`
    with claimed as (
      insert into downbeat.runs as run
        (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, spread_ms, retry_until, state, sweep_at)
      select tenant_id, id, schedule_id, revision, to_timestamp(at / 1000), to_timestamp(due_at / 1000), spread_ms, to_timestamp(retry_until / 1000),
        'pending', now() + ${publishTimeoutMs}::float8 * interval '1 millisecond'
      from unnest(
        ${runs.map((run) => run.tenantId)}::uuid[], ${runs.map((run) => run.runId)}::uuid[], ${runs.map((run) => run.scheduleId)}::uuid[],
        ${runs.map((run) => run.scheduleRevision)}::int[], ${runs.map((run) => run.scheduledFor)}::float8[],
        ${runs.map((run) => run.dueAt)}::float8[], ${runs.map((run) => run.spreadMs)}::int[], ${runs.map((run) => run.retryUntil)}::float8[]
      ) as given (tenant_id, id, schedule_id, revision, at, due_at, spread_ms, retry_until)
      on conflict (tenant_id, id) do update
        set state = 'pending', reason = null, schedule_revision = excluded.schedule_revision, sweep_at = excluded.sweep_at, finished_at = null,
          due_at = excluded.due_at, spread_ms = excluded.spread_ms, retry_until = excluded.retry_until
        where run.state = 'canceled' and run.reason = 'schedule_changed' and run.attempt = 0
      returning run.tenant_id, run.id, run.scheduled_for, run.due_at
    ), stretches as (
      insert into downbeat.runs
        (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, reason, range_from, range_count, blocked_by, finished_at)
      select tenant_id, id, schedule_id, revision, to_timestamp(at / 1000), to_timestamp(at / 1000), state, reason, to_timestamp(range_from / 1000),
        range_count, blocked_by, now()
      from unnest(
        ${stretches.map((run) => run.tenantId)}::uuid[], ${stretches.map((run) => run.runId)}::uuid[], ${stretches.map((run) => run.scheduleId)}::uuid[],
        ${stretches.map((run) => run.scheduleRevision)}::int[], ${stretches.map((run) => run.scheduledFor)}::float8[],
        ${stretches.map((run) => run.state)}::text[], ${stretches.map((run) => run.reason)}::text[],
        ${stretches.map((run) => run.rangeFrom)}::float8[], ${stretches.map((run) => run.rangeCount)}::int[],
        ${stretches.map((run) => run.blockedBy)}::uuid[]
      ) as given (tenant_id, id, schedule_id, revision, at, state, reason, range_from, range_count, blocked_by)
      on conflict do nothing
    ), watermark as (
      select tenant_id, schedule_id, to_timestamp(scheduled_for / 1000) as scheduled_for, to_timestamp(due_at / 1000) as next_run_at
      from unnest(
        ${watermarks.map((mark) => mark.tenantId)}::uuid[], ${watermarks.map((mark) => mark.scheduleId)}::uuid[],
        ${watermarks.map((mark) => mark.next?.scheduledFor ?? null)}::float8[], ${watermarks.map((mark) => mark.next?.dueAt ?? null)}::float8[]
      ) as given (tenant_id, schedule_id, scheduled_for, due_at)
    ), advanced as (
      update downbeat.schedule_due due
      set next_run_at = watermark.next_run_at, scheduled_for = nullif(watermark.scheduled_for, watermark.next_run_at)
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
    select tenant_id as "tenantId", id as "runId", (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor",
      (extract(epoch from due_at) * 1000)::float8 as "dueAt"
    from claimed`;
}
