import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import type { ScheduleKey } from "./lock-schedule.ts";

/**
 * Puts a schedule into the due index at its next occurrence, or takes it out where there is none. `lookAt` is when a dispatcher is to look at it, where that is not when the
 * occurrence is due: the end of a pause.
 */
export async function setDueRow(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
  next: Occurrence | null,
  lookAt: number | null = null,
): Promise<void> {
  if (next === null) {
    await database.deleteFrom("downbeat.schedule_due").where("tenant_id", "=", tenantId).where("schedule_id", "=", scheduleId).execute();
    return;
  }
  const nextRunAt = lookAt ?? next.dueAt;
  const columns = { next_run_at: new Date(nextRunAt), scheduled_for: next.at === nextRunAt ? null : new Date(next.at) };
  await database
    .insertInto("downbeat.schedule_due")
    .values({ tenant_id: tenantId, schedule_id: scheduleId, ...columns })
    .onConflict((conflict) => conflict.columns(["tenant_id", "schedule_id"]).doUpdateSet(columns))
    .execute();
}
