import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { LockedSchedule } from "./lock-schedule.ts";

/**
 * Locks the runs that edits of these schedules will withdraw, of all schedules together in the order of ids: withdrawn schedule by schedule, they could be waited for against the
 * order in which an executor leases a batch.
 *
 * Index: the days' occurrence keys, from yesterday on. Bounded by the look-ahead.
 */
export async function lockWithdrawable(database: TenantDatabase, locked: readonly LockedSchedule[]): Promise<void> {
  const [first] = locked;
  if (first === undefined) return;
  const from = locked.reduce((earliest, { editedAt }) => (editedAt < earliest ? editedAt : earliest), first.editedAt);
  await database
    .selectFrom("downbeat.runs as run")
    .select("run.id")
    .where("run.tenant_id", "in", [...new Set(locked.map(({ rule }) => rule.tenant_id))])
    .where(
      "run.schedule_id",
      "in",
      locked.map(({ rule }) => rule.id),
    )
    .where("run.trigger_id", "=", "")
    .where("run.due_at", ">", from)
    .where("run.attempt", "=", 0)
    .where("run.state", "in", ["pending", "queued"])
    .where(fragment<boolean>`run.id >= downbeat.first_run_id(${from}::timestamptz - interval '1 day')`)
    .orderBy("run.id")
    .forUpdate()
    .execute();
}
