import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { firstDueAfter, type Misfire } from "@downbeat/timing/plan-due.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import { setDueRow } from "./due-row.ts";
import { type LockedSchedule, lockSchedule, type ScheduleKey } from "./lock-schedule.ts";
import { firstUnclaimed } from "./first-unclaimed.ts";
import { pauseWatermark, replayedMax } from "./pause-watermark.ts";
import { Problem } from "../http/problem.ts";
import { recordScheduleEvent } from "./schedule-events.ts";
import { settleDueSlots } from "./settle-due-slots.ts";
import { timingOf } from "./stored-rule.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";

export interface PauseOptions {
  actor: string;
  reason?: string | undefined;
  /** When it ends by itself. Must be after now. Default: when somebody resumes the schedule. */
  until?: Date | undefined;
}

/** What a pause will cost. `occurrences` is null while nobody knows how long it lasts; `perDay` then says how many a day are concerned. */
export interface PauseEffect {
  until: Date | null;
  onResume: Misfire;
  occurrences: number | null;
  skipped: number | null;
  replayed: number | null;
  perDay: number;
}

/**
 * Pauses a schedule: from the instant of the edit on nothing of it runs, what was due before still does. Pausing a paused schedule changes nothing,
 * unless an end is given. A schedule that is used up cannot be paused, except a one-off that was claimed ahead of its time: it is taken back, and resuming restores it.
 */
export async function pauseSchedule(database: TenantDatabase, key: ScheduleKey, options: PauseOptions): Promise<PauseEffect> {
  const { actor, reason, until } = options;
  const locked = await lockSchedule(database, key);
  const { rule, editedAt } = locked;
  if (until !== undefined && until <= editedAt) {
    throw new Problem("invalid_value", {
      errors: [
        {
          field: "until",
          message: `is ${until.toISOString()}, which is in the past; it must be later than ${editedAt.toISOString()}`,
          value: until.toISOString(),
        },
      ],
    });
  }
  const pausedAt = rule.paused_at ?? editedAt;
  if (rule.paused_at === null) {
    const canceled = await withdrawFromDue(database, key, locked);
    if (rule.completed_at !== null && canceled === 0) {
      throw new Problem("no_next_occurrence", { detail: "The schedule is completed: there is nothing left to pause." });
    }
    await revise(database, locked, {
      paused_at: editedAt,
      paused_until: until ?? null,
      pause_reason: reason ?? null,
      completed_at: null,
      completed_reason: null,
    });
  } else if (until !== undefined) {
    await database
      .updateTable("downbeat.schedules")
      .set({
        paused_until: until,
        ...(reason === undefined ? {} : { pause_reason: reason }),
        updated_at: editedAt,
      })
      .where("tenant_id", "=", key.tenantId)
      .where("id", "=", key.scheduleId)
      .execute();
  }
  const pausedUntil = until ?? rule.paused_until;
  const unclaimed = await firstUnclaimed(database, locked, pausedAt);
  const effect = await foresee(database, locked, { pausedAt, pausedUntil, unclaimed });
  if (until !== undefined) await setDueRow(database, key, effect.next, until.getTime());
  if (rule.paused_at === null || until !== undefined) {
    const detail = { until: pausedUntil?.toISOString() ?? null, on_resume: rule.on_resume };
    await recordScheduleEvent(database, key, { actor, at: editedAt, event: "paused", reason: reason ?? null, detail });
  }
  return effect.effect;
}

interface Pause {
  pausedAt: Date;
  pausedUntil: Date | null;
  unclaimed: Date | null;
}

/** Counts what falls into a pause, and says where evaluation goes on when it ends by itself. A rule that cannot be evaluated has nothing to count. */
async function foresee(database: TenantDatabase, { rule }: LockedSchedule, { pausedAt, pausedUntil, unclaimed }: Pause) {
  const timing = await timingOf(database, rule);
  const onResume = rule.on_resume;
  const unknown: PauseEffect = { until: pausedUntil, onResume, occurrences: null, skipped: null, replayed: null, perDay: 0 };
  try {
    const first = firstDueAfter(timing, pausedAt.getTime());
    if (first === null) return { next: null, effect: unknown };
    const perDay = countOccurrences(timing.rule, first.at, pausedAt.getTime() + 86_400_000);
    if (pausedUntil === null) return { next: first, effect: { ...unknown, perDay } };
    const endAt = pausedUntil.getTime();
    const occurrences = countOccurrences(timing.rule, first.at, endAt);
    const replayed = Math.min(occurrences, replayedMax[onResume]);
    const next = pauseWatermark({ timing, first, unclaimed: unclaimed?.getTime() ?? null, endAt, onResume });
    return { next, effect: { ...unknown, occurrences, skipped: occurrences - replayed, replayed, perDay } };
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    return { next: null, effect: unknown };
  }
}

/** Deletes a schedule: as pausing, for good. Its runs stay in the ledger, its name is free again. */
export async function deleteSchedule(database: TenantDatabase, key: ScheduleKey, actor: string): Promise<void> {
  const locked = await lockSchedule(database, key);
  await withdrawFromDue(database, key, locked);
  await revise(database, locked, { deleted_at: locked.editedAt });
  await recordScheduleEvent(database, key, { actor, at: locked.editedAt, event: "deleted" });
}

type Revision = {
  paused_at?: Date | null;
  paused_until?: Date | null;
  pause_reason?: string | null;
  completed_at?: Date | null;
  completed_reason?: string | null;
  deleted_at?: Date;
};

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
async function withdrawFromDue(database: TenantDatabase, key: ScheduleKey, locked: LockedSchedule): Promise<number> {
  await settleDueSlots(database, locked);
  await setDueRow(database, key, null);
  await wakeDispatcher(database);
  return cancelFutureRuns(database, locked);
}

/**
 * Cancels the occurrences after the edit that were claimed ahead and have not started, with an entry in the journal for each. Manual runs, backfills and retries of slots that
 * were due are left alone. What counts is when a run starts, not its occurrence: a spread one may still be to come when its occurrence is past.
 *
 * Index: the days' occurrence keys, from yesterday on. Locks: rows in id order, as every batched write. Bounded by the look-ahead.
 */
export async function cancelFutureRuns(database: TenantDatabase, { rule, editedAt, withdrawable }: LockedSchedule): Promise<number> {
  if (withdrawable === 0) return 0;
  const { canceled } = await database
    .with("future", (query) =>
      query
        .selectFrom("downbeat.runs")
        .select(["tenant_id", "id"])
        .where("tenant_id", "=", rule.tenant_id)
        .where("schedule_id", "=", rule.id)
        .where("trigger_id", "=", "")
        .where("due_at", ">", editedAt)
        .where("attempt", "=", 0)
        .where("state", "in", ["pending", "queued"])
        .where(fragment<boolean>`id >= downbeat.first_run_id(${editedAt}::timestamptz - interval '1 day')`)
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
