import type { TransactionSql } from "./connect.ts";

/** Notes why schedules are completed that a claim has just taken out of the due index before their rule was over. Index: primary key. Bounded by `schedules`. */
export async function completeSchedules(
  sql: TransactionSql,
  schedules: readonly { tenantId: string; scheduleId: string }[],
  reason: string,
): Promise<void> {
  await sql`
    with given as (
      select * from unnest(${schedules.map((schedule) => schedule.tenantId)}::uuid[], ${schedules.map((schedule) => schedule.scheduleId)}::uuid[]) as given (tenant_id, id)
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason)
      select tenant_id, id, 'dispatcher', 'completed', ${reason} from given
    )
    update downbeat.schedules rule
    set completed_reason = ${reason}
    from given
    where rule.tenant_id = given.tenant_id and rule.id = given.id`;
}
