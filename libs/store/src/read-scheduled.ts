import type { Sql } from "./connect.ts";
import { ruleColumns, type StoredRule } from "./lock-due.ts";
import type { ScheduleCursor } from "./read-audited.ts";

/** A schedule, and where it stands in the due index. Instants in ms since 1970. */
export interface ScheduledRule extends StoredRule, ScheduleCursor {
  isPaused: boolean;
  /** The first occurrence that was not evaluated yet, and when a dispatcher looks at it. Null: the schedule is not in the due index. */
  watermark: number | null;
  nextRunAt: number | null;
}

/**
 * The next schedules after `after`, in the order of their keys; deleted ones too, with neither watermark nor due instant.
 *
 * Index: primary keys of schedules and schedule_due. Locks: nothing. Bounded by `schedulesMax`.
 */
export function readScheduled(
  sql: Sql,
  { after, schedulesMax }: { after: ScheduleCursor | null; schedulesMax: number },
): Promise<ScheduledRule[]> {
  return sql<ScheduledRule[]>`
    select
      rule.tenant_id as "tenantId",
      rule.id as "scheduleId",
      rule.paused_at is not null as "isPaused",
      (extract(epoch from coalesce(due.scheduled_for, due.next_run_at)) * 1000)::float8 as watermark,
      (extract(epoch from due.next_run_at) * 1000)::float8 as "nextRunAt",
      ${ruleColumns(sql)}
    from (
      select * from downbeat.schedules
      where (tenant_id, id) > (${after?.tenantId ?? firstKey}::uuid, ${after?.scheduleId ?? firstKey}::uuid)
      order by tenant_id, id
      limit ${schedulesMax}
    ) as rule
    left join lateral (
      select scheduled_for, next_run_at from downbeat.schedule_due
      where schedule_due.tenant_id = rule.tenant_id and schedule_due.schedule_id = rule.id
      limit 1
    ) as due on true
    order by rule.tenant_id, rule.id`;
}

const firstKey = "00000000-0000-0000-0000-000000000000";
