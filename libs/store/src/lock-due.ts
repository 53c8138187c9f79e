import type { TransactionSql } from "./connect.ts";

/** A due schedule, locked until its transaction ends, with what is needed to compute its occurrences. Instants in ms since 1970. */
export interface DueSchedule {
  tenantId: string;
  scheduleId: string;
  /** The watermark: the first occurrence not evaluated yet. */
  nextRunAt: number;
  revision: number;
  kind: "cron" | "interval" | "once";
  cronExpression: string | null;
  timezone: string;
  intervalSeconds: number | null;
  anchorAt: number | null;
  runAt: number | null;
  startsAt: number | null;
  endsAt: number | null;
  /** The database's clock, the same for every row of a transaction (rule D4). */
  nowAt: number;
}

export interface LockDueOptions {
  /** Claim what is due before now + this. */
  horizonMs: number;
  schedulesMax: number;
  /** Only this tenant's schedules (`dispatch --dry-run --tenant`). */
  tenantId?: string | undefined;
}

/** Due rows looked at for each row claimed: how far a tenant with a burst may be overtaken within one batch. */
const fairnessWindow = 4;

/**
 * ① Locks up to `schedulesMax` schedules that are due before the horizon, taking turns between tenants: each tenant's first, then each tenant's second.
 *
 * Index: `schedule_due_next_run_at`, read from its low end for at most 4 × `schedulesMax` entries; idle schedules are never touched (decision 0002).
 * Locks: the narrow `schedule_due` rows only. SKIP LOCKED lets several dispatchers work at once; the API's edits lock the same row first, so a claim sees a
 * schedule wholly before or wholly after an edit.
 */
export function lockDue(sql: TransactionSql, { horizonMs, schedulesMax, tenantId }: LockDueOptions): Promise<DueSchedule[]> {
  return sql<DueSchedule[]>`
    with upcoming as materialized (
      select tenant_id, schedule_id, next_run_at
      from downbeat.schedule_due
      where next_run_at < now() + ${horizonMs}::float8 * interval '1 millisecond'
        ${tenantId === undefined ? sql`` : sql`and tenant_id = ${tenantId}`}
      order by next_run_at
      limit ${schedulesMax * fairnessWindow}
    ), turns as (
      select *, row_number() over (partition by tenant_id order by next_run_at, schedule_id) as turn
      from upcoming
    ), locked as materialized (
      select due.tenant_id, due.schedule_id, due.next_run_at
      from turns
      join downbeat.schedule_due due on due.tenant_id = turns.tenant_id and due.schedule_id = turns.schedule_id
      where due.next_run_at < now() + ${horizonMs}::float8 * interval '1 millisecond'
      order by turns.turn, turns.next_run_at
      limit ${schedulesMax}
      for update of due skip locked
    )
    select
      locked.tenant_id as "tenantId",
      locked.schedule_id as "scheduleId",
      (extract(epoch from locked.next_run_at) * 1000)::float8 as "nextRunAt",
      rule.revision,
      rule.kind,
      rule.cron_expression as "cronExpression",
      rule.timezone,
      rule.interval_seconds as "intervalSeconds",
      (extract(epoch from rule.anchor_at) * 1000)::float8 as "anchorAt",
      (extract(epoch from rule.run_at) * 1000)::float8 as "runAt",
      (extract(epoch from rule.starts_at) * 1000)::float8 as "startsAt",
      (extract(epoch from rule.ends_at) * 1000)::float8 as "endsAt",
      (extract(epoch from now()) * 1000)::float8 as "nowAt"
    from locked
    join downbeat.schedules rule on rule.tenant_id = locked.tenant_id and rule.id = locked.schedule_id`;
}
