import type { Sql } from "./connect.ts";

/**
 * Pauses the schedules among these that have failed `max_failures` times in a row, with the reason and an entry in their journal, and answers them. Called after failures were counted
 * and at no other time; should that be missed, the next failure does it.
 *
 * Index: primary keys. Locks: the due rows, then the rules, as an edit does. Bounded by `schedules`.
 */
export async function pauseFailing(
  sql: Sql,
  schedules: readonly { tenantId: string; scheduleId: string }[],
  actor: string,
): Promise<{ tenantId: string; scheduleId: string; failures: number }[]> {
  return sql`
    with failing as materialized (
      select rule.tenant_id, rule.id, stats.consecutive_failures, stats.last_error
      from (select distinct * from unnest(${schedules.map((schedule) => schedule.tenantId)}::uuid[], ${schedules.map((schedule) => schedule.scheduleId)}::uuid[])) as given (tenant_id, id)
      join downbeat.schedules rule on rule.tenant_id = given.tenant_id and rule.id = given.id
      join downbeat.schedule_stats stats on stats.tenant_id = given.tenant_id and stats.schedule_id = given.id
      where rule.max_failures is not null and stats.consecutive_failures >= rule.max_failures and rule.paused_at is null and rule.deleted_at is null
      order by rule.id
    ), taken_out as (
      delete from downbeat.schedule_due due using failing where due.tenant_id = failing.tenant_id and due.schedule_id = failing.id
      returning due.tenant_id, due.schedule_id, coalesce(due.scheduled_for, due.next_run_at) as watermark
    ), paused as (
      update downbeat.schedules rule
      -- A slot that fell due while no dispatcher claimed it falls into the pause: resuming accounts for it.
      set paused_at = least(now(), taken_out.watermark - interval '1 millisecond'), pause_reason = 'Paused by itself after ' || failing.consecutive_failures || ' failures in a row; the last one: ' || coalesce(failing.last_error, 'unknown'),
        revision = rule.revision + 1, revised_at = now(), updated_at = now()
      -- The join is also what makes the due rows go first.
      from failing left join taken_out on taken_out.tenant_id = failing.tenant_id and taken_out.schedule_id = failing.id
      where rule.tenant_id = failing.tenant_id and rule.id = failing.id and rule.paused_at is null
      returning rule.tenant_id, rule.id, failing.consecutive_failures, rule.pause_reason
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason)
      select tenant_id, id, ${actor}, 'auto_paused', pause_reason from paused
    )
    select tenant_id as "tenantId", id as "scheduleId", consecutive_failures as failures from paused`;
}
