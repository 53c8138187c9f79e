import { runId } from "@downbeat/store/run-id.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { dueLimits, type DuePlan, planDue } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import type { LockedSchedule } from "./lock-schedule.ts";
import { toRule } from "./read-schedules.ts";

/**
 * Before a schedule leaves the due index, writes the runs of the slots that fell due before the edit and that no dispatcher has claimed (it was away, or a moment late). An edit
 * never takes back a slot that was due: without this, pausing or deleting during an outage would lose occurrences without a trace. What runs and what counts as missed is decided by the
 * dispatcher's own rule, `planDue`. The runs are `pending` and due for the sweep, so the next pass sends them.
 */
export async function settleDueSlots(database: TenantDatabase, locked: LockedSchedule): Promise<void> {
  const { rule, editedAt } = locked;
  const plans = planSlots(locked);
  const toRun = (scheduledFor: Instant) => ({
    tenant_id: rule.tenant_id,
    id: runId(rule.id, scheduledFor),
    schedule_id: rule.id,
    schedule_revision: rule.revision,
    scheduled_for: new Date(scheduledFor),
    due_at: new Date(scheduledFor),
  });
  const pending = plans.flatMap(({ runAt }) => runAt).map((at) => ({ ...toRun(at), state: "pending" as const, sweep_at: editedAt }));
  const missed = plans
    .flatMap((plan) => plan.missed ?? [])
    .map(({ from, to, count }) => ({
      ...toRun(to),
      state: "missed" as const,
      reason: "coalesced" as const,
      finished_at: editedAt,
      range_from: new Date(from),
      range_count: count,
    }));
  await ensurePartitions(
    database,
    [...pending, ...missed].map((run) => run.scheduled_for),
  );
  if (missed.length > 0) {
    await database
      .insertInto("downbeat.runs")
      .values(missed)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  if (pending.length === 0) return;
  await database
    .insertInto("downbeat.runs")
    .values(pending)
    .onConflict((conflict) =>
      conflict
        .columns(["tenant_id", "id"])
        // As a claim does: a run that an earlier pause canceled, of a schedule that was resumed before its instant, is wanted after all.
        .doUpdateSet({ state: "pending", reason: null, sweep_at: editedAt, finished_at: null })
        .where("downbeat.runs.state", "=", "canceled")
        .where("downbeat.runs.reason", "=", "schedule_changed")
        .where("downbeat.runs.attempt", "=", 0),
    )
    .execute();
}

function planSlots({ rule, nextRunAt, editedAt }: LockedSchedule): DuePlan[] {
  const plans: DuePlan[] = [];
  const nowAt = editedAt.getTime();
  try {
    let fromAt: Instant | null = nextRunAt === null ? null : nextRunAt.getTime();
    while (fromAt !== null && fromAt <= nowAt) {
      const plan = planDue({ rule: toRule(rule), fromAt, nowAt, untilAt: nowAt + 1, ...dueLimits });
      plans.push(plan);
      fromAt = plan.nextAt;
    }
  } catch (error) {
    // No dispatcher could have evaluated it either; it must still be possible to pause or delete it.
    if (!(error instanceof UnusableRuleError)) throw error;
  }
  return plans;
}

/** Slots of a long downtime lie on days that may have no partition any more. */
async function ensurePartitions(database: TenantDatabase, instants: readonly Date[]): Promise<void> {
  const days = new Set(instants.map((at) => at.toISOString().slice(0, 10)));
  for (const day of days) {
    const at = fragment`${`${day}T00:00:00Z`}::timestamptz`;
    await database.selectNoFrom(fragment`downbeat.ensure_run_partitions(${at}, ${at})`.as("made")).execute();
  }
}
