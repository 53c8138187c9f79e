import type { Claim, ClaimedRun, MissedStretch, Watermark } from "@downbeat/store/insert-claimed.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { dueLimits, planDue } from "@downbeat/timing/plan-due.ts";
import { type Rule, UnusableRuleError } from "@downbeat/timing/rule.ts";

export interface ClaimPlan extends Omit<Claim, "publishTimeoutMs"> {
  runs: ClaimedRun[];
  missed: MissedStretch[];
  watermarks: Watermark[];
  /** Schedules whose rule cannot be evaluated: the occurrence that was known to be due runs, and they are to be paused. */
  broken: { schedule: DueSchedule; problem: string }[];
  /** Schedules that could not be planned for a reason of ours. They stay due. */
  failed: { schedule: DueSchedule; error: unknown }[];
  /** True when some were left for another batch, because these had much to evaluate. */
  isCut: boolean;
}

/** Occurrences evaluated in one claim: well under a second of work, because its transaction holds locks meanwhile. */
const evaluationsMax = 50_000;

/** What a claim of these schedules writes: pure, so that `--dry-run` and the pass cannot differ. Instants in ms since 1970. */
export function planClaim(schedules: readonly DueSchedule[], horizonMs: number): ClaimPlan {
  const plan: ClaimPlan = { runs: [], missed: [], watermarks: [], broken: [], failed: [], isCut: false };
  let evaluationsLeft = evaluationsMax;
  for (const schedule of schedules) {
    if (evaluationsLeft <= 0) return { ...plan, isCut: true };
    try {
      evaluationsLeft -= planSchedule(plan, schedule, horizonMs, evaluationsLeft);
    } catch (error) {
      if (error instanceof UnusableRuleError) {
        plan.runs.push(runOf(schedule, schedule.nextRunAt));
        plan.broken.push({ schedule, problem: `${error.field} ${error.message}` });
      } else plan.failed.push({ schedule, error });
    }
  }
  return plan;
}

/** Answers how many occurrences were evaluated. */
function planSchedule(plan: ClaimPlan, schedule: DueSchedule, horizonMs: number, evaluationsLeft: number): number {
  const due = planDue({
    rule: toRule(schedule),
    fromAt: schedule.nextRunAt,
    nowAt: schedule.nowAt,
    untilAt: schedule.nowAt + horizonMs,
    ...dueLimits,
    occurrencesMax: Math.min(dueLimits.occurrencesMax, evaluationsLeft),
  });
  for (const at of due.runAt) plan.runs.push(runOf(schedule, at));
  if (due.missed !== null)
    plan.missed.push({ ...runOf(schedule, due.missed.to), rangeFrom: due.missed.from, rangeCount: due.missed.count });
  plan.watermarks.push({ tenantId: schedule.tenantId, scheduleId: schedule.scheduleId, nextRunAt: due.nextAt });
  return due.runAt.length + (due.missed?.count ?? 0);
}

function runOf({ tenantId, scheduleId, revision }: DueSchedule, scheduledFor: number): ClaimedRun {
  return { tenantId, runId: runId(scheduleId, scheduledFor), scheduleId, scheduleRevision: revision, scheduledFor };
}

function toRule(schedule: DueSchedule): Rule {
  const { kind, cronExpression, timezone, intervalSeconds, anchorAt, runAt, startsAt, endsAt } = schedule;
  const bounds = { ...(startsAt === null ? {} : { startsAt }), ...(endsAt === null ? {} : { endsAt }) };
  if (kind === "cron" && cronExpression !== null) return { kind, cronExpression, timezone, ...bounds };
  if (kind === "interval" && intervalSeconds !== null && anchorAt !== null) return { kind, intervalSeconds, anchorAt, ...bounds };
  if (kind === "once" && runAt !== null) return { kind, runAt, ...bounds };
  throw new Error(`schedule ${schedule.scheduleId} of kind ${kind} lacks the fields of its kind`);
}
