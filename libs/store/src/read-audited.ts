import type { TransactionSql } from "./connect.ts";
import { ruleColumns, type StoredRule } from "./lock-due.ts";

/** The primary key of a schedule, as a place in the order of all of them. */
export interface ScheduleCursor {
  tenantId: string;
  scheduleId: string;
}

/** A schedule with what is needed to say which of its occurrences must be in the ledger. Instants in ms since 1970. */
export interface AuditedSchedule extends StoredRule, ScheduleCursor {
  tenant: string;
  name: string;
  isDeleted: boolean;
  revision: number;
  revisedAt: number;
  /** Its rule is what decided about occurrences after this instant: it was made, edited or resumed, or its calendars or zone changed. */
  validFrom: number;
  /** The first occurrence that was not evaluated yet. Null: the schedule is not in the due index. */
  watermark: number | null;
  pausedAt: number | null;
  completedAt: number | null;
  completedReason: string | null;
  /** The database's clock, the same for every row. */
  nowAt: number;
}

/**
 * The next schedules after `after`, in the order of their keys; deleted ones too, which the caller leaves out, so that a step of it is bounded however many there are.
 *
 * Index: primary keys of schedules, tenants, schedule_due, schedule_events and calendars. Bounded by `schedulesMax`, and by the events of each schedule.
 */
export function readAudited(
  sql: TransactionSql,
  { after, schedulesMax }: { after: ScheduleCursor | null; schedulesMax: number },
): Promise<AuditedSchedule[]> {
  return sql<AuditedSchedule[]>`
    select
      rule.tenant_id as "tenantId",
      rule.id as "scheduleId",
      tenant.slug as tenant,
      rule.name,
      rule.deleted_at is not null as "isDeleted",
      rule.revision,
      (extract(epoch from rule.revised_at) * 1000)::float8 as "revisedAt",
      (extract(epoch from greatest(rule.created_at, rule.revised_at, changed.at, calendar.at)) * 1000)::float8 as "validFrom",
      (extract(epoch from coalesce(due.scheduled_for, due.next_run_at)) * 1000)::float8 as watermark,
      (extract(epoch from rule.paused_at) * 1000)::float8 as "pausedAt",
      (extract(epoch from rule.completed_at) * 1000)::float8 as "completedAt",
      rule.completed_reason as "completedReason",
      (extract(epoch from now()) * 1000)::float8 as "nowAt",
      ${ruleColumns(sql)}
    from (
      select * from downbeat.schedules
      where (tenant_id, id) > (${after?.tenantId ?? firstKey}::uuid, ${after?.scheduleId ?? firstKey}::uuid)
      order by tenant_id, id
      limit ${schedulesMax}
    ) as rule
    cross join lateral (select slug from downbeat.tenants where tenants.id = rule.tenant_id limit 1) as tenant
    left join lateral (
      select scheduled_for, next_run_at from downbeat.schedule_due
      where schedule_due.tenant_id = rule.tenant_id and schedule_due.schedule_id = rule.id
      limit 1
    ) as due on true
    left join lateral (
      -- A move names the first occurrence of the new version; what was claimed ahead of it is of the old one.
      select max(case when event.event = 'moved' then greatest(event.at, (event.detail->>'from')::timestamptz - interval '1 millisecond') else event.at end) as at
      from downbeat.schedule_events event
      where event.tenant_id = rule.tenant_id and event.schedule_id = rule.id and event.event in ('updated', 'resumed', 'moved')
    ) as changed on true
    left join lateral (
      select max(calendar.updated_at) as at from downbeat.calendars calendar where calendar.id = any(rule.calendar_ids)
    ) as calendar on true
    order by rule.tenant_id, rule.id`;
}

const firstKey = "00000000-0000-0000-0000-000000000000";
