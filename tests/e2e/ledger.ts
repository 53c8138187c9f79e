import { until } from "@downbeat/testkit/until.ts";
import type { Sql } from "@downbeat/store/connect.ts";

export interface LedgerRun {
  id: string;
  scheduleId: string;
  /** ms since 1970 */
  scheduledFor: number;
  state: string;
  reason: string | null;
  /** ms since 1970 */
  queuedAt: number | null;
  rangeFrom: number | null;
  rangeCount: number | null;
  attempts: {
    outcome: string;
    executor: string | null;
    /** ms since 1970; null where the executor was lost before it said so. */
    startedAt: number | null;
  }[];
}

/** All runs of a tenant, in the order of their occurrences. */
export function readLedger(sql: Sql, tenantId: string): Promise<LedgerRun[]> {
  return sql<LedgerRun[]>`
    select run.id, run.schedule_id as "scheduleId", (extract(epoch from run.scheduled_for) * 1000)::float8 as "scheduledFor", run.state, run.reason,
      (extract(epoch from run.queued_at) * 1000)::float8 as "queuedAt",
      (extract(epoch from run.range_from) * 1000)::float8 as "rangeFrom", run.range_count as "rangeCount",
      coalesce(tried.attempts, '[]') as attempts
    from downbeat.runs run
    left join (
      select run_id, jsonb_agg(jsonb_build_object(
        'outcome', outcome, 'executor', executor, 'startedAt', (extract(epoch from started_at) * 1000)::float8) order by attempt) as attempts
      from downbeat.attempts where tenant_id = ${tenantId} group by run_id
    ) tried on tried.run_id = run.id
    where run.tenant_id = ${tenantId} order by run.id`;
}

/** Resolves when every run of a tenant has come to its end. Throws after `deadlineMs`, with what became of the first that have not. */
export async function allEnded(sql: Sql, { id, slug }: { id: string; slug: string }, deadlineMs: number): Promise<void> {
  const countOpen = async () => {
    const [row] = await sql<{ open: number }[]>`
      select count(*)::int as open from downbeat.runs where tenant_id = ${id} and finished_at is null`;
    return row?.open;
  };
  try {
    await until(`the runs of ${slug} to come to their end`, async () => (await countOpen()) === 0, { deadlineMs, everyMs: 200 });
  } catch (error) {
    const open = await sql`
      select id, state, due_at, queued_at, sweep_at, attempt, redrives, executor from downbeat.runs
      where tenant_id = ${id} and finished_at is null order by id limit 5`;
    throw new Error(`${(error as Error).message}; the first of ${await countOpen()}: ${JSON.stringify(open)}`, { cause: error });
  }
}

/** The clock by which Downbeat decides, in ms since 1970. */
export async function databaseNow(sql: Sql): Promise<number> {
  const [row] = await sql<{ at: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`;
  if (row === undefined) throw new Error("the database did not answer");
  return row.at;
}
