import type { TransactionSql } from "./connect.ts";

export interface PausedSchedule {
  tenantId: string;
  scheduleId: string;
}

/**
 * Ends pauses whose time was over, in the claim that evaluates what fell into them. No revision: nothing of the rule changed, and no run was claimed meanwhile.
 *
 * Index: primary key. Locks: the rules; their due rows are held by the claim's transaction. Bounded by `schedules`.
 */
export async function endPauses(sql: TransactionSql, schedules: readonly PausedSchedule[]): Promise<void> {
  await sql`
    with given as (
      select * from unnest(${schedules.map((schedule) => schedule.tenantId)}::uuid[], ${schedules.map((schedule) => schedule.scheduleId)}::uuid[]) as given (tenant_id, id)
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason)
      select tenant_id, id, 'dispatcher', 'resumed', 'the pause was over' from given
    )
    update downbeat.schedules rule
    set paused_at = null, paused_until = null, pause_reason = null, updated_at = now()
    from given
    where rule.tenant_id = given.tenant_id and rule.id = given.id`;
}
