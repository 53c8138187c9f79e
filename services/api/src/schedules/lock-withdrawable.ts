import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { LockedSchedule } from "./lock-schedule.ts";

/**
 * Locks the runs that edits of these schedules will withdraw, of all schedules together in the order of ids: withdrawn schedule by schedule, they could be waited for against the
 * order in which an executor leases a batch. Answers how many there are of each schedule that has some.
 *
 * Index: the days' occurrence keys, from yesterday on. Bounded by the look-ahead.
 */
export async function lockWithdrawable(database: TenantDatabase, locked: readonly LockedSchedule[]): Promise<Map<string, number>> {
  if (locked.length === 0) return new Map();
  return count(await selectWithdrawable(database, locked).orderBy("run.id").forUpdate().execute());
}

/** The same count without a lock. */
export async function countWithdrawable(database: TenantDatabase, schedules: readonly LockedSchedule[]): Promise<Map<string, number>> {
  if (schedules.length === 0) return new Map();
  return count(await selectWithdrawable(database, schedules).execute());
}

function selectWithdrawable(database: TenantDatabase, schedules: readonly LockedSchedule[]) {
  const from = new Date(Math.min(...schedules.map(({ editedAt }) => editedAt.getTime())));
  return database
    .selectFrom("downbeat.runs as run")
    .select("run.schedule_id")
    .where("run.tenant_id", "in", [...new Set(schedules.map(({ rule }) => rule.tenant_id))])
    .where(
      "run.schedule_id",
      "in",
      schedules.map(({ rule }) => rule.id),
    )
    .where("run.trigger_id", "=", "")
    .where("run.due_at", ">", from)
    .where("run.attempt", "=", 0)
    .where("run.state", "in", ["pending", "queued"])
    .where(fragment<boolean>`run.id >= downbeat.first_run_id(${from}::timestamptz - interval '1 day')`);
}

function count(runs: readonly { schedule_id: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { schedule_id: id } of runs) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}
