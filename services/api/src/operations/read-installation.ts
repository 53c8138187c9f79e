import type { Sql } from "@downbeat/store/connect.ts";
import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import { type LastAudit, selectLastAudit } from "./read-audits.ts";

/** How the installation as a whole is doing, by its database. */
export interface Installation {
  /** Since a dispatcher last finished a pass, well or not. Null: none ever did. */
  lastPassAgeSeconds: number | null;
  /** Of the last five minutes. */
  passes: PassSums;
  due: DueBacklog;
  overdueRuns: number;
  audit: LastAudit | undefined;
}

interface PassSums {
  ok: number;
  error: number;
  claimed: number;
  missed: number;
  sent: number;
  sendFailed: number;
  swept: number;
}

interface DueBacklog {
  /** Schedules that are due and not claimed. */
  schedules: number;
  /** How long the first of them has been due; 0 without any. */
  ageSeconds: number;
}

/** Rows that are looked at for a count: what is more than that needs no number to be alarming, and a scrape must not cost more the worse things are. */
export const countedMax = 10_000;

/** A run that has not started this long after its instant is overdue: the queue's delay and an executor's start are over by then. */
const overdueSeconds = 30;

/**
 * Reads all of it in one transaction over every tenant, of which only sums are taken. Postgres itself ends a statement after `statementMsMax`.
 *
 * Plans are left nothing but indexes in their order. The day's partition has no statistics yet, and row-level security hides from the planner how many rows it lets through: with a free choice it read the whole ledger, or
 * sorted every live run, to find the first ten thousand (measured with 360,000 runs, 60,000 of them live: 190 and 440 ms).
 */
export function readInstallation(sql: Sql, statementMsMax: number): Promise<Installation> {
  return tenantTransaction(sql, { kind: "platform" }, async (database) => {
    await fragment`
      select set_config('statement_timeout', ${String(statementMsMax)}, true), set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`.execute(database);
    return {
      lastPassAgeSeconds: await readLastPassAge(database),
      passes: await sumPasses(database),
      due: await countDue(database),
      overdueRuns: await countOverdue(database),
      audit: await selectLastAudit(database),
    };
  });
}

/** Index: dispatch_passes_started_at, one row. */
export async function readLastPassAge(database: TenantDatabase): Promise<number | null> {
  const { rows } = await fragment<{ age: number }>`
    select extract(epoch from clock_timestamp() - finished_at)::float8 as age
    from downbeat.dispatch_passes order by started_at desc limit 1`.execute(database);
  const [row] = rows;
  return row === undefined ? null : Math.max(0, Math.round(row.age * 10) / 10);
}

/** Index: dispatch_passes_started_at; a dispatcher makes a dozen passes a minute, and at most ten a second when schedules are created without pause. */
async function sumPasses(database: TenantDatabase): Promise<PassSums> {
  const { rows } = await fragment<PassSums>`
    select count(*) filter (where error is null)::int as ok, count(*) filter (where error is not null)::int as error,
      coalesce(sum(claimed), 0)::float8 as claimed, coalesce(sum(missed), 0)::float8 as missed, coalesce(sum(sent), 0)::float8 as sent,
      coalesce(sum(send_failed), 0)::float8 as "sendFailed", coalesce(sum(swept), 0)::float8 as swept
    from downbeat.dispatch_passes where started_at > now() - interval '5 minutes'`.execute(database);
  return only(rows);
}

/** Index: schedule_due_next_run_at, from its low end, `countedMax` entries. Dispatchers claim ahead of time, so that there are none when all is well. */
async function countDue(database: TenantDatabase): Promise<DueBacklog> {
  const { rows } = await fragment<DueBacklog>`
    select count(*)::int as schedules, coalesce(extract(epoch from clock_timestamp() - min(next_run_at)), 0)::float8 as "ageSeconds"
    from (
      select next_run_at from downbeat.schedule_due where next_run_at <= now() order by next_run_at limit ${countedMax}
    ) as due`.execute(database);
  return only(rows);
}

/**
 * Index: runs_sweep_at of each partition, which holds live runs only, from its low end, where the longest overdue are; `countedMax` of them are looked at. Not overdue are runs that have started, and those
 * that wait for another run of their schedule.
 */
async function countOverdue(database: TenantDatabase): Promise<number> {
  const { rows } = await fragment<{ runs: number }>`
    select count(*)::int as runs
    from (
      select state, reason, due_at from downbeat.runs where sweep_at is not null order by sweep_at limit ${countedMax}
    ) as live
    where state in ('pending', 'queued', 'retrying') and reason is distinct from 'overlap'
      and due_at < now() - ${overdueSeconds}::int * interval '1 second'`.execute(database);
  return only(rows).runs;
}

function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("a statement that counts answered no row");
  return row;
}
