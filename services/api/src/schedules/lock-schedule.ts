import type { ScheduleTable } from "@downbeat/store/database.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { type Selectable, sql as fragment } from "kysely";
import { scheduleNotFound } from "./read-schedules.ts";

export interface ScheduleKey {
  tenantId: string;
  scheduleId: string;
}

/** A schedule that nobody else changes until this transaction ends, and no dispatcher claims. */
export interface LockedSchedule {
  rule: Selectable<ScheduleTable>;
  /** The first occurrence that was not evaluated yet. Null: the due index has no row of it (paused, completed). */
  watermark: Date | null;
  /**
   * The instant of the edit, read after the locks were won: what is due at or before it was due before the edit and runs; what is later obeys the edit.
   */
  editedAt: Date;
  /** How many runs an edit will withdraw, where that was found out for many schedules at once. Absent: nobody has looked. */
  withdrawable?: number;
}

/**
 * Locks a schedule for an edit: first its row of the due index, then the rule. That is the order of a claim, which locks the due row (SKIP LOCKED, so it never waits for an
 * edit) and may then mark the rule completed; an edit therefore sees a claim wholly or not at all.
 *
 * The instant of the edit is `clock_timestamp()` after the locks, never `now()`. `now()` is when the transaction began: had it then waited two seconds for a claim to commit,
 * runs that fell due in those two seconds, and may be executing, would be counted as future. With the instant taken last, a claim that committed before the lock has its runs
 * seen and judged by it (each statement has a new snapshot), and a claim that comes later finds the edited rule. An executor that leases a run compares with the same instant,
 * stored as `revised_at`.
 *
 * Two edits of a schedule without a due row meet at the rule's lock. Should the first one have been a resume, the second holds the rule and asks for the new due row,
 * against a claim's order; if a claim completes the rule at that moment, one of them is a deadlock's victim and runs again.
 */
export async function lockSchedule(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey): Promise<LockedSchedule> {
  await lockDueRow(database, { tenantId, scheduleId });
  const rule = await database
    .selectFrom("downbeat.schedules")
    .selectAll()
    .where("tenant_id", "=", tenantId)
    .where("id", "=", scheduleId)
    .where("deleted_at", "is", null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (rule === undefined) throw scheduleNotFound();
  // Again, for the due row that another edit made while this one waited for the rule.
  const due = await lockDueRow(database, { tenantId, scheduleId });
  const { at } = await database.selectNoFrom(fragment<Date>`clock_timestamp()`.as("at")).executeTakeFirstOrThrow();
  return { rule, watermark: due?.scheduled_for ?? due?.next_run_at ?? null, editedAt: at };
}

function lockDueRow(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey) {
  return database
    .selectFrom("downbeat.schedule_due")
    .select(["next_run_at", "scheduled_for"])
    .where("tenant_id", "=", tenantId)
    .where("schedule_id", "=", scheduleId)
    .forUpdate()
    .executeTakeFirst();
}
