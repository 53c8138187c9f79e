import type { TransactionSql } from "./connect.ts";

/** A schedule whose rule cannot be evaluated any more, and what was wrong with it. */
export interface BrokenSchedule {
  tenantId: string;
  scheduleId: string;
  problem: string;
}

/**
 * Pauses schedules that cannot be evaluated (a zone that a newer time-zone database dropped, a row written by hand). Left in the due index they would be locked again with every
 * pass and, once they fill a batch, keep everything else from being claimed. The owner sees the reason; resuming evaluates the rule again.
 *
 * Index: primary keys. Locks: the rules; their due rows are held by the claim's transaction. Bounded by `broken`.
 */
export async function pauseBroken(sql: TransactionSql, broken: readonly BrokenSchedule[]): Promise<void> {
  await sql`
    with broken as (
      select * from unnest(
        ${broken.map((schedule) => schedule.tenantId)}::uuid[], ${broken.map((schedule) => schedule.scheduleId)}::uuid[],
        ${broken.map((schedule) => schedule.problem)}::text[]
      ) as given (tenant_id, schedule_id, problem)
    ), taken_out as (
      delete from downbeat.schedule_due due
      using broken
      where due.tenant_id = broken.tenant_id and due.schedule_id = broken.schedule_id
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, reason)
      select tenant_id, schedule_id, 'dispatcher', 'auto_paused', 'The rule cannot be evaluated: ' || problem from broken
    )
    update downbeat.schedules rule
    set paused_at = now(), pause_reason = 'The rule cannot be evaluated: ' || broken.problem,
      revision = rule.revision + 1, revised_at = now(), updated_at = now()
    from broken
    where rule.tenant_id = broken.tenant_id and rule.id = broken.schedule_id`;
}
