import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import { type LockedSchedule, lockSchedule, type ScheduleKey } from "./lock-schedule.ts";
import { Problem } from "./problem.ts";
import { settleDueSlots } from "./settle-due-slots.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";

/**
 * Pauses a schedule: from the instant of the edit on nothing of it runs, what was due before still does. Pausing a paused schedule changes nothing. A schedule that is used up
 * cannot be paused, except a one-off that was claimed ahead of its time: it is taken back, and resuming restores it.
 */
export async function pauseSchedule(database: TenantDatabase, key: ScheduleKey, reason: string | undefined): Promise<void> {
  const locked = await lockSchedule(database, key);
  if (locked.rule.paused_at !== null) return;
  const canceled = await withdrawFromDue(database, key, locked);
  if (locked.rule.completed_at !== null && canceled === 0) {
    throw new Problem("no_next_occurrence", { detail: "The schedule is completed: there is nothing left to pause." });
  }
  await revise(database, locked, { paused_at: locked.editedAt, pause_reason: reason ?? null, completed_at: null });
}

/** Deletes a schedule: as pausing, for good. Its runs stay in the ledger, its name is free again. */
export async function deleteSchedule(database: TenantDatabase, key: ScheduleKey): Promise<void> {
  const locked = await lockSchedule(database, key);
  await withdrawFromDue(database, key, locked);
  await revise(database, locked, { deleted_at: locked.editedAt });
}

type Revision = { paused_at?: Date | null; pause_reason?: string | null; completed_at?: Date | null; deleted_at?: Date };

/** Writes an edit of the rule. Runs of older revisions that were due by `revised_at` still run; executors cancel the later ones. */
export async function revise(database: TenantDatabase, { rule, editedAt }: LockedSchedule, changes: Revision): Promise<void> {
  await database
    .updateTable("downbeat.schedules")
    .set({ ...changes, revision: rule.revision + 1, revised_at: editedAt, updated_at: editedAt })
    .where("tenant_id", "=", rule.tenant_id)
    .where("id", "=", rule.id)
    .execute();
}

/** Answers how many future runs were canceled. */
async function withdrawFromDue(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey, locked: LockedSchedule): Promise<number> {
  await settleDueSlots(database, locked);
  await database.deleteFrom("downbeat.schedule_due").where("tenant_id", "=", tenantId).where("schedule_id", "=", scheduleId).execute();
  await wakeDispatcher(database);
  return cancelFutureRuns(database, locked);
}

/**
 * Cancels the occurrences after the edit that were claimed ahead and have not started, with an entry in the journal for each. Manual runs and retries of slots that were
 * due are left alone.
 *
 * Index: the days' occurrence keys, from today on. Locks: rows in id order, as every batched write. Bounded by the look-ahead.
 */
async function cancelFutureRuns(database: TenantDatabase, { rule, editedAt }: LockedSchedule): Promise<number> {
  const { canceled } = await database
    .with("future", (query) =>
      query
        .selectFrom("downbeat.runs")
        .select(["tenant_id", "id"])
        .where("tenant_id", "=", rule.tenant_id)
        .where("schedule_id", "=", rule.id)
        .where("trigger_id", "=", "")
        .where("scheduled_for", ">", editedAt)
        .where("state", "in", ["pending", "queued"])
        .where(fragment<boolean>`id >= downbeat.first_run_id(${editedAt})`)
        .orderBy("id")
        .forUpdate(),
    )
    .with("canceled", (query) =>
      query
        .updateTable("downbeat.runs as run")
        .from("future")
        .set({ state: "canceled", reason: "schedule_changed", finished_at: editedAt, sweep_at: null })
        .whereRef("run.tenant_id", "=", "future.tenant_id")
        .whereRef("run.id", "=", "future.id")
        .returning(["run.tenant_id", "run.id"]),
    )
    .with("journal", (query) =>
      query
        .insertInto("downbeat.run_events")
        .columns(["tenant_id", "run_id", "actor", "event", "reason"])
        .expression((insert) =>
          insert
            .selectFrom("canceled")
            .select(["canceled.tenant_id", "canceled.id", fragment<string>`'api'`.as("actor"), fragment<string>`'canceled'`.as("event")])
            .select(fragment<string>`'schedule_changed'`.as("reason")),
        ),
    )
    .selectFrom("canceled")
    .select((query) => query.fn.countAll<string>().as("canceled"))
    .executeTakeFirstOrThrow();
  return Number(canceled);
}
