import type { Sql, TransactionSql } from "./connect.ts";
import { liveRunStates } from "./run-states.ts";

export interface ScheduleKey {
  tenantId: string;
  scheduleId: string;
}

/** The gate of a schedule as its runs' states say: those that have ended are in neither list. */
export interface GateRow extends ScheduleKey {
  holders: string[];
  waiting: string[];
  /** Occurrences that were started so far. */
  started: number;
  /** Occurrences that were claimed and have not been started. */
  outstanding: number;
}

/**
 * Reads gates without locking them. A schedule that nothing ever started has none, and is answered with an empty one.
 *
 * Index: primary keys, of gates and of the few runs they name; for `outstanding`, asked only of schedules with a limit of runs, the days' occurrence keys of the look-ahead and
 * the grace before it. Bounded by `schedules`.
 */
export async function readGates(
  sql: Sql | TransactionSql,
  schedules: readonly (ScheduleKey & { maxRuns: number | null })[],
): Promise<GateRow[]> {
  if (schedules.length === 0) return [];
  return sql<GateRow[]>`
    select given.tenant_id as "tenantId", given.schedule_id as "scheduleId",
      ${liveIn(sql, "holders")} as holders, ${liveIn(sql, "waiting")} as waiting, coalesce(gate.started, 0)::float8 as started,
      case when given.max_runs is not null then (
        select count(*)::float8 from downbeat.runs run
        where run.schedule_id = given.schedule_id and run.tenant_id = given.tenant_id and run.trigger_id = '' and run.attempt = 0
          and run.state in ('pending', 'queued') and run.id >= downbeat.first_run_id(now() - interval '3 days')
          and not run.id = any(coalesce(gate.holders, '{}'))
      ) else 0 end as outstanding
    from unnest(
      ${schedules.map((schedule) => schedule.tenantId)}::uuid[], ${schedules.map((schedule) => schedule.scheduleId)}::uuid[],
      ${schedules.map((schedule) => schedule.maxRuns)}::int[]
    ) as given (tenant_id, schedule_id, max_runs)
    left join downbeat.schedule_gates gate on gate.tenant_id = given.tenant_id and gate.schedule_id = given.schedule_id`;
}

function liveIn(sql: Sql | TransactionSql, list: "holders" | "waiting") {
  return sql`coalesce((
    select json_agg(run.id order by run.id) from unnest(gate.${sql(list)}) as named (id)
    join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = named.id
    where run.state = any(${liveRunStates as unknown as string[]}::text[])
  ), '[]'::json)`;
}
