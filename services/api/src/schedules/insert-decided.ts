import { runId } from "@downbeat/store/run-id.ts";
import type { RunReason } from "@downbeat/store/run-states.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import type { ScheduleRuleRow } from "./stored-rule.ts";

/** Occurrences an edit has decided about, as a claim would have: those that run, and stretches that do not. */
export interface Decided {
  due: readonly Occurrence[];
  stretches: readonly { state: "missed" | "skipped"; reason: RunReason; from: number; to: number; count: number }[];
}

/**
 * Writes the runs of occurrences that an edit evaluates in a dispatcher's place: `pending` and due for the sweep, so that the next pass sends them. An occurrence that already has its
 * row is left alone, except one that an edit had canceled before it started.
 */
export async function insertDecided(
  database: TenantDatabase,
  rule: ScheduleRuleRow,
  { due, stretches }: Decided,
  decidedAt: Date,
): Promise<void> {
  const toRow = (at: number, dueAt: number) => ({
    tenant_id: rule.tenant_id,
    id: runId(rule.id, at),
    schedule_id: rule.id,
    schedule_revision: rule.revision,
    scheduled_for: new Date(at),
    due_at: new Date(dueAt),
  });
  await ensurePartitions(
    database,
    [...due.map(({ at }) => at), ...stretches.map(({ to }) => to)].map((at) => new Date(at)),
  );
  if (stretches.length > 0) {
    await database
      .insertInto("downbeat.runs")
      .values(
        stretches.map(({ state, reason, from, to, count }) => ({
          ...toRow(to, to),
          state,
          reason,
          finished_at: decidedAt,
          range_from: new Date(from),
          range_count: count,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  if (due.length === 0) return;
  await database
    .insertInto("downbeat.runs")
    .values(due.map(({ at, dueAt }) => ({ ...toRow(at, dueAt), state: "pending" as const, sweep_at: decidedAt })))
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "id"])
        // As a claim does: a run that an earlier pause canceled, of a schedule that was resumed before its instant, is wanted after all.
        .doUpdateSet((excluded) => ({
          state: "pending",
          reason: null,
          sweep_at: decidedAt,
          finished_at: null,
          due_at: excluded.ref("excluded.due_at"),
          schedule_revision: excluded.ref("excluded.schedule_revision"),
        }))
        .where("downbeat.runs.state", "=", "canceled")
        .where("downbeat.runs.reason", "=", "schedule_changed")
        .where("downbeat.runs.attempt", "=", 0),
    )
    .execute();
}

/** Slots of a long downtime lie on days that may have no partition any more. */
async function ensurePartitions(database: TenantDatabase, instants: readonly Date[]): Promise<void> {
  const days = new Set(instants.map((at) => at.toISOString().slice(0, 10)));
  for (const day of days) {
    const at = fragment`${`${day}T00:00:00Z`}::timestamptz`;
    await database.selectNoFrom(fragment`downbeat.ensure_run_partitions(${at}, ${at})`.as("made")).execute();
  }
}
