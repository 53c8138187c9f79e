import type { Sql, TransactionSql } from "./connect.ts";
import type { RecordedWindow } from "./count-recorded.ts";
import type { RunState } from "./run-states.ts";

/** A row of the ledger: an occurrence, or a stretch of them from `rangeFrom` to `at`. Instants in ms since 1970. */
export interface RecordedRow {
  at: number;
  rangeFrom: number | null;
  rangeCount: number | null;
  revision: number;
  state: RunState;
  reason: string | null;
}

/**
 * The rows of a window, in order; also the stretches that end behind it and begin before its end. Asked for where counts differ, to name the instants.
 *
 * Index: the days' occurrence keys. Bounded by what was recorded in the window.
 */
export function readRecorded(sql: TransactionSql, { tenantId, scheduleId, from, to }: RecordedWindow): Promise<RecordedRow[]> {
  return sql<RecordedRow[]>`
    select ${recordedColumns(sql)}
    from downbeat.runs
    where schedule_id = ${scheduleId} and tenant_id = ${tenantId} and trigger_id = ''
      and scheduled_for >= to_timestamp(${from}::float8 / 1000) and coalesce(range_from, scheduled_for) < to_timestamp(${to}::float8 / 1000)
      and id >= downbeat.first_run_id(to_timestamp(${from}::float8 / 1000)) and id < downbeat.first_run_id(now() + interval '1 hour')
    order by scheduled_for`;
}

/** The columns of `RecordedRow`, of the table `runs`. */
export function recordedColumns(sql: Sql | TransactionSql) {
  return sql`
      (extract(epoch from scheduled_for) * 1000)::float8 as at, (extract(epoch from range_from) * 1000)::float8 as "rangeFrom", range_count as "rangeCount",
      schedule_revision as revision, state, reason`;
}
