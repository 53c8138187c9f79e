import type { BackfillState } from "@downbeat/store/lock-backfill.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import { Problem } from "../http/problem.ts";
import { backfillNotFound, type BackfillRef } from "./read-backfills.ts";
import { recordScheduleEvent } from "../schedules/schedule-events.ts";
import { wakeDispatcher } from "../schedules/wake-dispatcher.ts";

/** Pausing: no further run is made; those under way go on, with their retries. */
export function pauseBackfill(database: TenantDatabase, key: BackfillRef, actor: string): Promise<void> {
  return change(database, key, { from: "running", to: "paused", actor });
}

export function resumeBackfill(database: TenantDatabase, key: BackfillRef, actor: string): Promise<void> {
  return change(database, key, { from: "paused", to: "running", actor });
}

/**
 * Cancels a backfill for good, and those of its runs that nobody is calling, with an entry in the journal for each. One that is being called ends by itself; should it fail, the dispatcher withdraws
 * its retry.
 */
export async function cancelBackfill(database: TenantDatabase, key: BackfillRef, actor: string): Promise<void> {
  const { state, scheduleId, openRuns } = await lock(database, key);
  if (state === "canceled") return;
  if (state === "completed") throw ended(state);
  await write(database, key, { scheduleId, state: "canceled", actor });
  await withdraw(database, key, openRuns);
}

async function change(
  database: TenantDatabase,
  key: BackfillRef,
  { from, to, actor }: { from: BackfillState; to: BackfillState; actor: string },
): Promise<void> {
  const { state, scheduleId } = await lock(database, key);
  if (state === to) return;
  if (state !== from) throw ended(state);
  await write(database, key, { scheduleId, state: to, actor });
}

/** Locks a backfill: a dispatcher that feeds it has committed before, or passes over it. */
async function lock(database: TenantDatabase, { tenantId, backfillId }: BackfillRef) {
  const row = await database
    .selectFrom("downbeat.backfills")
    .select(["state", "schedule_id as scheduleId", "open_runs as openRuns"])
    .where("tenant_id", "=", tenantId)
    .where("id", "=", backfillId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw backfillNotFound();
  return row;
}

async function write(
  database: TenantDatabase,
  { tenantId, backfillId }: BackfillRef,
  { scheduleId, state, actor }: { scheduleId: string; state: BackfillState; actor: string },
): Promise<void> {
  await database.updateTable("downbeat.backfills").set({ state }).where("tenant_id", "=", tenantId).where("id", "=", backfillId).execute();
  const reason = state === "running" ? "resumed" : state;
  await recordScheduleEvent(database, { tenantId, scheduleId }, { actor, event: "backfill", reason, detail: { backfill: backfillId } });
  await wakeDispatcher(database);
}

/** As `withdrawRuns` of the store. Index: primary key, of the days of these runs only. Locks: rows in id order. Bounded by the backfill's concurrency. */
async function withdraw(database: TenantDatabase, { tenantId }: BackfillRef, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return;
  await database
    .with("waiting", (query) =>
      query
        .selectFrom("downbeat.runs")
        .select(["tenant_id", "id"])
        .where("tenant_id", "=", tenantId)
        .where("id", "in", [...runIds])
        .where("state", "in", ["pending", "queued", "retrying"])
        .orderBy("id")
        .forUpdate(),
    )
    .with("canceled", (query) =>
      query
        .updateTable("downbeat.runs as run")
        .from("waiting")
        .set({ state: "canceled", reason: "backfill_canceled", finished_at: fragment`now()`, sweep_at: null })
        .whereRef("run.tenant_id", "=", "waiting.tenant_id")
        .whereRef("run.id", "=", "waiting.id")
        .where("run.id", "in", [...runIds])
        .returning(["run.tenant_id", "run.id"]),
    )
    .insertInto("downbeat.run_events")
    .columns(["tenant_id", "run_id", "actor", "event", "reason"])
    .expression((insert) =>
      insert
        .selectFrom("canceled")
        .select(["canceled.tenant_id", "canceled.id", fragment<string>`'api'`.as("actor"), fragment<string>`'canceled'`.as("event")])
        .select(fragment<string>`'backfill_canceled'`.as("reason")),
    )
    .execute();
}

function ended(state: BackfillState): Problem {
  return new Problem("backfill_ended", { detail: `The backfill is ${state}: nothing can be changed about it. Ask for another one.` });
}
