import type { DstGap, DstOverlap } from "@downbeat/timing/rule.ts";
import type { Misfire } from "@downbeat/timing/plan-due.ts";
import type { Overlap } from "@downbeat/timing/pass-gate.ts";
import type { Sql, TransactionSql } from "./connect.ts";

/** The rule of a schedule and the policies that decide with it what runs, as the table has them. Instants in ms since 1970. */
export interface StoredRule {
  kind: "cron" | "interval" | "once";
  cronExpression: string | null;
  timezone: string;
  intervalSeconds: number | null;
  anchorAt: number | null;
  runAt: number | null;
  startsAt: number | null;
  endsAt: number | null;
  dstGap: DstGap;
  dstOverlap: DstOverlap;
  misfire: Misfire;
  graceSeconds: number | null;
  spreadSeconds: number | null;
  spreadShare: number | null;
  /** Ids of calendars, or null for none. */
  calendarIds: readonly string[] | null;
}

/** A due schedule, locked until its transaction ends, with what is needed to decide about its occurrences. Instants in ms since 1970. */
export interface DueSchedule extends StoredRule {
  tenantId: string;
  scheduleId: string;
  /** The watermark: the first occurrence not evaluated yet. */
  nextRunAt: number;
  revision: number;
  overlap: Overlap;
  maxInstances: number;
  maxRuns: number | null;
  /** `pausedUntil` is set where a pause ends by itself: then the schedule is due when it does. */
  pausedAt: number | null;
  pausedUntil: number | null;
  onResume: Misfire;
  /** The tenant's maintenance, past or present: occurrences due from `maintenanceFrom` on, until `maintenanceUntil` or nobody knows when, are skipped. */
  maintenanceFrom: number | null;
  maintenanceUntil: number | null;
  /** The tenant's limit of runs a day. */
  runsPerDayMax: number | null;
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

/** Locked rows of the due index, as three Postgres arrays in text: they go back to the server as they came, and Node never parses them. Null when nothing is due. */
interface LockedRows {
  tenantIds: string | null;
  scheduleIds: string;
  watermarks: string;
}

/** Due rows looked at for each row claimed: how far a tenant with a burst may be overtaken within one batch. Measured: 8 in place of 4 costs a claim 5 % more of Postgres's CPU. */
const fairnessWindow = 8;

/**
 * ① Locks up to `schedulesMax` schedules that are due before the horizon, taking turns between tenants: each tenant's first, then each tenant's second.
 *
 * Two statements, because each sees the database as of its own start: the rules are read after the locks are held, so an edit, which locks the same due row before it changes
 * the rule, is seen wholly or not at all. In one statement, an edit that commits while the locks are being taken would be claimed with the rule from before it.
 */
export async function lockDue(sql: TransactionSql, options: LockDueOptions): Promise<DueSchedule[]> {
  const [locked] = await lockDueRows(sql, options);
  if (locked === undefined || locked.tenantIds === null) return [];
  return readRules(sql, locked);
}

/**
 * The lock, not yet sent: awaiting it sends it, and it can be embedded in an `explain`.
 *
 * Index: `schedule_due_next_run_at`, read from its low end for at most 8 × `schedulesMax` entries; idle schedules are never touched (decision 0002).
 * Locks: the narrow `schedule_due` rows only, one at a time in turn until the limit. SKIP LOCKED lets several dispatchers work at once; a row that another dispatcher or an edit has
 * written since the statement began is left out and found by the next batch.
 *
 * Each row is visited at its place in the table (`ctid`), which holds for a statement's snapshot. The lateral join leaves the planner no choice: as a plain join it hashed
 * everything due for each batch. `is not distinct from` keeps the comparison from being looked up in the due index, where thousands share one instant.
 */
export function lockDueRows(sql: TransactionSql, { horizonMs, schedulesMax, tenantId }: LockDueOptions) {
  return sql<LockedRows[]>`
    select array_agg(tenant_id)::text as "tenantIds", array_agg(schedule_id)::text as "scheduleIds", array_agg(watermark)::text as watermarks
    from (
      select due.tenant_id, due.schedule_id, coalesce(due.scheduled_for, due.next_run_at) as watermark
      from (
        select place, next_run_at, row_number() over (partition by tenant_id order by next_run_at) as turn
        from (
          select ctid as place, tenant_id, next_run_at
          from downbeat.schedule_due
          where next_run_at < now() + ${horizonMs}::float8 * interval '1 millisecond'
            ${tenantId === undefined ? sql`` : sql`and tenant_id = ${tenantId}`}
          order by next_run_at
          limit ${schedulesMax * fairnessWindow}
        ) as upcoming
        order by turn, next_run_at
      ) as turns
      cross join lateral (
        select tenant_id, schedule_id, next_run_at, scheduled_for
        from downbeat.schedule_due
        where ctid = turns.place and next_run_at is not distinct from turns.next_run_at
        for update skip locked
      ) as due
      limit ${schedulesMax}
    ) as locked`;
}

/** Index: primary keys of schedules and tenants. */
function readRules(sql: TransactionSql, { tenantIds, scheduleIds, watermarks }: LockedRows): Promise<DueSchedule[]> {
  return sql<DueSchedule[]>`
    select
      locked.tenant_id as "tenantId",
      locked.schedule_id as "scheduleId",
      (extract(epoch from locked.watermark) * 1000)::float8 as "nextRunAt",
      rule.revision,
      ${ruleColumns(sql)},
      rule.overlap,
      rule.max_instances as "maxInstances",
      rule.max_runs as "maxRuns",
      (extract(epoch from rule.paused_at) * 1000)::float8 as "pausedAt",
      (extract(epoch from rule.paused_until) * 1000)::float8 as "pausedUntil",
      rule.on_resume as "onResume",
      (extract(epoch from tenant.maintenance_from) * 1000)::float8 as "maintenanceFrom",
      (extract(epoch from tenant.maintenance_until) * 1000)::float8 as "maintenanceUntil",
      tenant.runs_per_day_max as "runsPerDayMax",
      (extract(epoch from now()) * 1000)::float8 as "nowAt"
    from unnest(${tenantIds}::text::uuid[], ${scheduleIds}::text::uuid[], ${watermarks}::text::timestamptz[]) as locked (tenant_id, schedule_id, watermark)
    cross join lateral (
      select * from downbeat.schedules where schedules.tenant_id = locked.tenant_id and schedules.id = locked.schedule_id limit 1
    ) as rule
    cross join lateral (
      select maintenance_from, maintenance_until, runs_per_day_max from downbeat.tenants where tenants.id = locked.tenant_id limit 1
    ) as tenant`;
}

/** The columns of `StoredRule`, of a table called `rule`. */
export function ruleColumns(sql: TransactionSql | Sql) {
  return sql`
      rule.kind,
      rule.cron_expression as "cronExpression",
      rule.timezone,
      rule.interval_seconds as "intervalSeconds",
      (extract(epoch from rule.anchor_at) * 1000)::float8 as "anchorAt",
      (extract(epoch from rule.run_at) * 1000)::float8 as "runAt",
      (extract(epoch from rule.starts_at) * 1000)::float8 as "startsAt",
      (extract(epoch from rule.ends_at) * 1000)::float8 as "endsAt",
      rule.dst_gap as "dstGap",
      rule.dst_overlap as "dstOverlap",
      rule.misfire,
      rule.grace_seconds as "graceSeconds",
      rule.spread_seconds as "spreadSeconds",
      rule.spread_share as "spreadShare",
      nullif(to_json(rule.calendar_ids)::text, '[]')::json as "calendarIds"`;
}
