import { randomUUID } from "node:crypto";
import { runId } from "@downbeat/store/run-id.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { ScheduleKey } from "./lock-schedule.ts";
import { scheduleNotFound } from "./read-schedules.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";

export interface RequestedRun {
  runId: string;
  /** True when an earlier request with the same key had made it. */
  isRepeated: boolean;
}

/**
 * Makes a run that is due now, outside of the rule: also for a paused or completed schedule, and never equal to a scheduled slot, because its trigger id goes into its id.
 *
 * With an idempotency key the trigger id is that key. The id of a run also holds its instant, which differs when a request is repeated, so the id alone does not make repeats
 * equal: the run of the same key within the last 24 hours is looked up first. Requests for one schedule take turns at the lock of its rule, so that of two that arrive together the
 * second finds the first one's run. After 24 hours a key may be used again.
 *
 * Index: the occurrence keys of at most two days. Locks: the schedule's rule, which dispatchers take only to mark it completed or to pause it.
 */
export async function runNow(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
  idempotencyKey: string | undefined,
): Promise<RequestedRun> {
  const rule = await database
    .selectFrom("downbeat.schedules")
    .select("revision")
    .where("tenant_id", "=", tenantId)
    .where("id", "=", scheduleId)
    .where("deleted_at", "is", null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (rule === undefined) throw scheduleNotFound();
  if (idempotencyKey !== undefined) {
    const earlier = await database
      .selectFrom("downbeat.runs")
      .select("id")
      .where("tenant_id", "=", tenantId)
      .where("schedule_id", "=", scheduleId)
      .where("trigger_id", "=", idempotencyKey)
      .where(fragment<boolean>`scheduled_for > now() - interval '24 hours'`)
      .where(fragment<boolean>`id >= downbeat.first_run_id(now() - interval '24 hours')`)
      .executeTakeFirst();
    if (earlier !== undefined) return { runId: earlier.id, isRepeated: true };
  }
  // After the lock: `now()` may be older than the run this request waited for. Whole milliseconds, because the id is made of them.
  const { at } = await database
    .selectNoFrom([
      fragment<Date>`clock_timestamp()`.as("at"),
      fragment`downbeat.ensure_run_partitions(clock_timestamp(), clock_timestamp())`.as("made"),
    ])
    .executeTakeFirstOrThrow();
  const triggerId = idempotencyKey ?? randomUUID();
  const id = runId(scheduleId, at.getTime(), triggerId);
  await database
    .insertInto("downbeat.runs")
    .values({
      tenant_id: tenantId,
      id,
      schedule_id: scheduleId,
      schedule_revision: rule.revision,
      scheduled_for: at,
      trigger_id: triggerId,
      state: "pending",
      due_at: at,
      // The sweep of the pass that is woken sends it.
      sweep_at: at,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await wakeDispatcher(database);
  return { runId: id, isRepeated: false };
}
