import type { TransactionSql } from "@downbeat/store/connect.ts";
import type { Claim, InsertedRun } from "@downbeat/store/insert-claimed.ts";
import type { DueSchedule, LockDueOptions } from "@downbeat/store/lock-due.ts";

/**
 * The layout that was not chosen: `next_run_at` as an indexed column of the wide `schedules` row. The same statements as `lock-due.ts` and `insert-claimed.ts`, with the rule's
 * own row locked and advanced; the rule comes with the lock, as it is the same row.
 */
export function lockDueWide(sql: TransactionSql, { horizonMs, schedulesMax }: LockDueOptions): Promise<DueSchedule[]> {
  return sql<DueSchedule[]>`
    select
      due.tenant_id as "tenantId",
      due.id as "scheduleId",
      (extract(epoch from due.next_run_at) * 1000)::float8 as "nextRunAt",
      due.revision,
      due.kind,
      due.cron_expression as "cronExpression",
      due.timezone,
      due.interval_seconds as "intervalSeconds",
      (extract(epoch from due.anchor_at) * 1000)::float8 as "anchorAt",
      (extract(epoch from due.run_at) * 1000)::float8 as "runAt",
      (extract(epoch from due.starts_at) * 1000)::float8 as "startsAt",
      (extract(epoch from due.ends_at) * 1000)::float8 as "endsAt",
      (extract(epoch from now()) * 1000)::float8 as "nowAt"
    from (
      select place, next_run_at, row_number() over (partition by tenant_id order by next_run_at) as turn
      from (
        select ctid as place, tenant_id, next_run_at
        from downbeat.schedules
        where next_run_at < now() + ${horizonMs}::float8 * interval '1 millisecond'
        order by next_run_at
        limit ${schedulesMax * 8}
      ) as upcoming
      order by turn, next_run_at
    ) as turns
    cross join lateral (
      select * from downbeat.schedules where ctid = turns.place and next_run_at is not distinct from turns.next_run_at for update skip locked
    ) as due
    limit ${schedulesMax}`;
}

/** The bench's schedules have no missed stretches and no last occurrence, so only the parts of the claim that do work are here. */
export function insertClaimedWide(sql: TransactionSql, { runs, watermarks, publishTimeoutMs }: Claim): Promise<InsertedRun[]> {
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
    ), watermark as (
      select * from unnest(
        ${watermarks.map((mark) => mark.tenantId)}::uuid[], ${watermarks.map((mark) => mark.scheduleId)}::uuid[],
        ${watermarks.map((mark) => mark.next?.dueAt ?? null)}::float8[]
      ) as given (tenant_id, schedule_id, next_run_at)
    ), advanced as (
      update downbeat.schedules rule
      set next_run_at = to_timestamp(watermark.next_run_at / 1000)
      from watermark
      where rule.tenant_id = watermark.tenant_id and rule.id = watermark.schedule_id
    )
    select tenant_id as "tenantId", id as "runId", (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor"
    from claimed`;
}
