import type { Claim, ClaimedRun, ClaimedStretch, Watermark } from "@downbeat/store/insert-claimed.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import type { PausedSchedule } from "@downbeat/store/end-pauses.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type ClaimState, emptyClaimState, SchedulePlanner, toRun } from "./plan-schedule.ts";

export interface ClaimPlan extends Omit<Claim, "publishTimeoutMs"> {
  runs: ClaimedRun[];
  stretches: ClaimedStretch[];
  watermarks: Watermark[];
  /** Schedules whose pause ended by itself. */
  resumed: PausedSchedule[];
  /** Schedules that have had all the runs they may have. */
  usedUp: { tenantId: string; scheduleId: string }[];
  /** Runs planned for tenants with a daily limit. */
  spent: Map<string, number>;
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
export function planClaim(schedules: readonly DueSchedule[], horizonMs: number, state: ClaimState = emptyClaimState): ClaimPlan {
  const plan: ClaimPlan = {
    runs: [],
    stretches: [],
    watermarks: [],
    resumed: [],
    usedUp: [],
    spent: new Map(),
    broken: [],
    failed: [],
    isCut: false,
  };
  let evaluationsLeft = evaluationsMax;
  for (const schedule of schedules) {
    if (evaluationsLeft <= 0) return { ...plan, isCut: true };
    try {
      const planned = new SchedulePlanner(schedule, { horizonMs, state, spent: plan.spent, occurrencesMax: evaluationsLeft }).plan();
      evaluationsLeft -= planned.evaluations;
      plan.runs.push(...planned.runs);
      plan.stretches.push(...planned.stretches);
      plan.watermarks.push(planned.watermark);
      if (planned.isResumed) plan.resumed.push({ tenantId: schedule.tenantId, scheduleId: schedule.scheduleId });
      if (planned.isUsedUp) plan.usedUp.push({ tenantId: schedule.tenantId, scheduleId: schedule.scheduleId });
    } catch (error) {
      if (error instanceof UnusableRuleError) {
        plan.runs.push(toRun(schedule, { at: schedule.nextRunAt, dueAt: schedule.nextRunAt }, null, null));
        plan.broken.push({ schedule, problem: `${error.field} ${error.message}` });
      } else plan.failed.push({ schedule, error });
    }
  }
  return plan;
}

/** True when the state of the schedule's other runs can decide about what is claimed of it now: something of it is due already, or its runs are counted. */
export function needsGate({ nextRunAt, nowAt, maxRuns }: DueSchedule): boolean {
  return nextRunAt <= nowAt || maxRuns !== null;
}
