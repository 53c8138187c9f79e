import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import { type Instant, type Rule, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { lockSchedule, type ScheduleKey } from "./lock-schedule.ts";
import { Problem } from "./problem.ts";
import { toRule } from "./read-schedules.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";
import { revise } from "./withdraw-schedule.ts";

/**
 * Resumes a paused schedule at its first occurrence after this instant; what fell into the pause does not run. An occurrence that was claimed ahead, canceled by the pause and
 * is still to come gets its run back when it is claimed again: its id is the same. Resuming an active schedule changes nothing.
 */
export async function resumeSchedule(database: TenantDatabase, key: ScheduleKey): Promise<void> {
  const locked = await lockSchedule(database, key);
  const { rule, editedAt } = locked;
  if (rule.paused_at === null && rule.completed_at === null) return;
  const nextAt = rule.paused_at === null ? null : evaluate(toRule(rule), editedAt.getTime());
  if (nextAt === null) {
    throw new Problem("no_next_occurrence", { detail: "The schedule's rule has no occurrence after now, so there is nothing to resume." });
  }
  await revise(database, locked, { paused_at: null, pause_reason: null, completed_at: null });
  await database
    .insertInto("downbeat.schedule_due")
    .values({ tenant_id: key.tenantId, schedule_id: key.scheduleId, next_run_at: new Date(nextAt) })
    .execute();
  await wakeDispatcher(database);
}

function evaluate(rule: Rule, after: Instant): Instant | null {
  try {
    return nextOccurrence(rule, after);
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    throw new Problem("no_next_occurrence", {
      detail: `The schedule's rule can no longer be evaluated: its ${error.field} ${error.message}.`,
    });
  }
}
