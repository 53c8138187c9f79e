import type { Claim, ClaimedRun, MissedStretch, Watermark } from "@downbeat/store/insert-claimed.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { dueLimits, planDue } from "@downbeat/timing/plan-due.ts";
import type { Rule } from "@downbeat/timing/rule.ts";

export interface ClaimPlan extends Omit<Claim, "publishTimeoutMs"> {
  runs: ClaimedRun[];
  missed: MissedStretch[];
  watermarks: Watermark[];
  /** Schedules whose rule could not be evaluated. */
  broken: { schedule: DueSchedule; error: unknown }[];
}

/** What a claim of these schedules writes: pure, so that `--dry-run` and the pass cannot differ. Instants in ms since 1970. */
export function planClaim(schedules: readonly DueSchedule[], horizonMs: number): ClaimPlan {
  const plan: ClaimPlan = { runs: [], missed: [], watermarks: [], broken: [] };
  for (const schedule of schedules) {
    try {
      planSchedule(plan, schedule, horizonMs);
    } catch (error) {
      plan.broken.push({ schedule, error });
    }
  }
  return plan;
}

function planSchedule(plan: ClaimPlan, schedule: DueSchedule, horizonMs: number): void {
  const due = planDue({
    rule: toRule(schedule),
    fromAt: schedule.nextRunAt,
    nowAt: schedule.nowAt,
    untilAt: schedule.nowAt + horizonMs,
    ...dueLimits,
  });
  const { tenantId, scheduleId, revision } = schedule;
  const runAt = (scheduledFor: number): ClaimedRun => ({
    tenantId,
    runId: runId(scheduleId, scheduledFor),
    scheduleId,
    scheduleRevision: revision,
    scheduledFor,
  });
  plan.runs.push(...due.runAt.map(runAt));
  if (due.missed !== null) plan.missed.push({ ...runAt(due.missed.to), rangeFrom: due.missed.from, rangeCount: due.missed.count });
  plan.watermarks.push({ tenantId, scheduleId, nextRunAt: due.nextAt });
}

function toRule(schedule: DueSchedule): Rule {
  const { kind, cronExpression, timezone, intervalSeconds, anchorAt, runAt, startsAt, endsAt } = schedule;
  const bounds = { ...(startsAt === null ? {} : { startsAt }), ...(endsAt === null ? {} : { endsAt }) };
  if (kind === "cron" && cronExpression !== null) return { kind, cronExpression, timezone, ...bounds };
  if (kind === "interval" && intervalSeconds !== null && anchorAt !== null) return { kind, intervalSeconds, anchorAt, ...bounds };
  if (kind === "once" && runAt !== null) return { kind, runAt, ...bounds };
  throw new Error(`schedule ${schedule.scheduleId} of kind ${kind} lacks the fields of its kind`);
}
