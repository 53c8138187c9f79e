import type { Sql, TransactionSql } from "./connect.ts";
import type { StoredCalendar } from "./load-calendars.ts";
import type { StoredRule } from "./lock-due.ts";
import { liveRunStates, type RunState } from "./run-states.ts";
import { backfillTrigger } from "./trigger.ts";

export const backfillStates = ["running", "paused", "completed", "canceled"] as const;
export type BackfillState = (typeof backfillStates)[number];

/** What a backfill runs, as its row keeps it: all that decides which instants are occurrences, so that an edit of the schedule or a calendar changes nothing of it. */
export interface BackfillRule {
  rule: StoredRule;
  calendars: readonly StoredCalendar[];
}

export interface BackfillKey {
  tenantId: string;
  backfillId: string;
}

/** A backfill that is not finished, locked until its transaction ends. Instants in ms since 1970. */
export interface LockedBackfill extends BackfillKey, BackfillRule {
  scheduleId: string;
  /** The schedule's present revision, for the runs. */
  revision: number;
  isScheduleDeleted: boolean;
  /** The tenant's maintenance has begun and is not over: nothing is called meanwhile that can wait. */
  isUnderMaintenance: boolean;
  state: BackfillState;
  concurrency: number;
  toAt: number;
  /** The first occurrence that was not looked at, or null when none is left. */
  nextAt: number | null;
  openRuns: readonly string[];
  nowAt: number;
}

/**
 * Backfills that a pass has to look at: those that run, and those that wait for the end of their last runs. Not yet sent: awaiting it sends it, and it can be embedded in an `explain`.
 *
 * Index: `backfills_unfinished`, which is empty but for the few that are under way.
 */
export function findUnfinishedBackfills(sql: Sql) {
  return sql<BackfillKey[]>`
    select tenant_id as "tenantId", id as "backfillId"
    from downbeat.backfills
    where finished_at is null and (state <> 'paused' or open_runs <> '{}')
    order by created_at`;
}

/**
 * Locks a backfill, or answers undefined when another dispatcher or a request holds it, or it is finished.
 *
 * Index: primary keys of backfills, schedules and tenants. Locks: the backfill's row, SKIP LOCKED. What is read after it is as young as the lock, so that two dispatchers never count
 * the same room twice.
 */
export async function lockBackfill(sql: TransactionSql, { tenantId, backfillId }: BackfillKey): Promise<LockedBackfill | undefined> {
  const [locked] = await sql<(Omit<LockedBackfill, keyof BackfillRule> & { stored: BackfillRule })[]>`
    select backfill.tenant_id as "tenantId", backfill.id as "backfillId", backfill.schedule_id as "scheduleId", backfill.rule as stored, backfill.state,
      backfill.concurrency, to_json(backfill.open_runs) as "openRuns",
      (extract(epoch from backfill.to_at) * 1000)::float8 as "toAt", (extract(epoch from backfill.next_at) * 1000)::float8 as "nextAt",
      rule.revision, rule.deleted_at is not null as "isScheduleDeleted",
      coalesce(tenant.maintenance_from <= now() and (tenant.maintenance_until is null or tenant.maintenance_until > now()), false) as "isUnderMaintenance",
      (extract(epoch from now()) * 1000)::float8 as "nowAt"
    from downbeat.backfills backfill
    join downbeat.schedules rule on rule.tenant_id = backfill.tenant_id and rule.id = backfill.schedule_id
    join downbeat.tenants tenant on tenant.id = backfill.tenant_id
    where backfill.tenant_id = ${tenantId} and backfill.id = ${backfillId} and backfill.finished_at is null
    for update of backfill skip locked`;
  if (locked === undefined) return undefined;
  const { stored, ...rest } = locked;
  return { ...rest, ...stored };
}

/**
 * The states of runs, by id; a run that is no longer in the ledger is left out. Index: primary key, of the days of these runs only: their ids are said outright, so that the planner need not open all
 * the others. Bounded by `runIds`.
 */
export async function readRunStates(sql: TransactionSql, tenantId: string, runIds: readonly string[]): Promise<Map<string, RunState>> {
  if (runIds.length === 0) return new Map();
  const rows = await sql<{ id: string; state: RunState }[]>`
    select id, state from downbeat.runs where tenant_id = ${tenantId} and id = any(${runIds as string[]}::uuid[])`;
  return new Map(rows.map(({ id, state }) => [id, state]));
}

/**
 * Which occurrences of a schedule from `fromAt` to `toAt`, both included, need no further run: one of the rule or of a backfill has succeeded, or has yet to end. A run that somebody asked for at
 * the very same millisecond is none of the occurrence.
 *
 * Index: the occurrence keys of the days. Bounded by the stretch.
 */
export async function readSettled(
  sql: TransactionSql,
  { tenantId, scheduleId, fromAt, toAt }: { tenantId: string; scheduleId: string; fromAt: number; toAt: number },
): Promise<Set<number>> {
  const rows = await sql<{ at: number }[]>`
    select (extract(epoch from scheduled_for) * 1000)::float8 as at
    from downbeat.runs
    where schedule_id = ${scheduleId} and tenant_id = ${tenantId}
      and scheduled_for >= to_timestamp(${fromAt}::float8 / 1000) and scheduled_for <= to_timestamp(${toAt}::float8 / 1000)
      and id >= downbeat.first_run_id(to_timestamp(${fromAt}::float8 / 1000)) and id < downbeat.first_run_id(to_timestamp(${toAt + 1}::float8 / 1000))
      and (trigger_id = '' or trigger_id like ${`${backfillTrigger}%`})
      and state = any(${["succeeded", ...liveRunStates]}::text[])`;
  return new Set(rows.map(({ at }) => at));
}
