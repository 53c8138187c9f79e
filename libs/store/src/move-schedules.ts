import type { TransactionSql } from "./connect.ts";

/** A schedule that was looked at with a new version of the time zone database. Instants in ms since 1970. */
export interface MovedSchedule {
  tenantId: string;
  scheduleId: string;
  /** Its watermark at that time. */
  watermark: number;
  /** Where it goes on, and when a dispatcher looks at it. Null: where it stands. */
  next: { scheduledFor: number; nextRunAt: number } | null;
  /** For its journal. Null: nothing of it moves. */
  detail: Readonly<Record<string, unknown>> | null;
}

/**
 * Writes what a new version of the time zone database moved. A watermark that a claim or an edit has moved meanwhile was moved by the new rules, and is left alone.
 *
 * Index: primary keys. Locks: due rows, then rules, as an edit does. Bounded by `schedules`.
 */
export async function moveSchedules(sql: TransactionSql, schedules: readonly MovedSchedule[], tzdata: string): Promise<void> {
  await sql`
    with given as materialized (
      select tenant_id, schedule_id, to_timestamp(watermark_ms / 1000) as watermark, to_timestamp(scheduled_ms / 1000) as scheduled_for,
        to_timestamp(due_ms / 1000) as next_run_at, detail::jsonb as detail
      from unnest(
        ${schedules.map(({ tenantId }) => tenantId)}::uuid[], ${schedules.map(({ scheduleId }) => scheduleId)}::uuid[],
        ${schedules.map(({ watermark }) => watermark)}::float8[], ${schedules.map(({ next }) => next?.scheduledFor ?? null)}::float8[],
        ${schedules.map(({ next }) => next?.nextRunAt ?? null)}::float8[],
        ${schedules.map(({ detail }) => (detail === null ? null : JSON.stringify(detail)))}::text[]
      ) as given (tenant_id, schedule_id, watermark_ms, scheduled_ms, due_ms, detail)
    ), advanced as (
      update downbeat.schedule_due due
      set next_run_at = given.next_run_at, scheduled_for = nullif(given.scheduled_for, given.next_run_at)
      from given
      where due.tenant_id = given.tenant_id and due.schedule_id = given.schedule_id and given.scheduled_for is not null
        and coalesce(due.scheduled_for, due.next_run_at) = given.watermark
    ), noted as (
      update downbeat.schedules rule
      set tzdata = ${tzdata}
      from given
      where rule.tenant_id = given.tenant_id and rule.id = given.schedule_id
    )
    insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason, detail)
    select tenant_id, schedule_id, 'dispatcher', 'moved', 'time zone database ' || ${tzdata}, detail from given where detail is not null`;
}
