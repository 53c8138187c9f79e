import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { firstDueAfter, type Misfire, planDropped } from "@downbeat/timing/plan-due.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import { setDueRow } from "./due-row.ts";
import { insertDecided } from "./insert-decided.ts";
import { lockSchedule, type ScheduleKey } from "./lock-schedule.ts";
import { firstUnclaimed } from "./first-unclaimed.ts";
import { pauseWatermark, replayedMax } from "./pause-watermark.ts";
import { Problem } from "../http/problem.ts";
import { recordScheduleEvent } from "./schedule-events.ts";
import { timingOf } from "./stored-rule.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";
import { revise } from "./withdraw-schedule.ts";

export interface ResumeOptions {
  actor: string;
  /** What becomes of the occurrences that fell into the pause. Default: as the schedule says. */
  onResume?: Misfire | undefined;
}

/** What resuming made of the pause. */
export interface ResumeEffect {
  skipped: number;
  replayed: number;
}

/**
 * Resumes a paused schedule. The occurrences that fell into the pause are skipped, as one row of the ledger, or made up for, the newest or all of them, as the schedule's `on_resume`
 * says. An occurrence that was claimed ahead, canceled by the pause and is still to come gets its run back when it is claimed again: its id is the same. Resuming an active
 * schedule changes nothing.
 */
export async function resumeSchedule(
  database: TenantDatabase,
  key: ScheduleKey,
  { actor, onResume }: ResumeOptions,
): Promise<ResumeEffect> {
  const locked = await lockSchedule(database, key);
  const { rule, editedAt } = locked;
  if (rule.paused_at === null && rule.completed_at === null) return { skipped: 0, replayed: 0 };
  if (rule.paused_at === null) throw noNextOccurrence();
  const timing = await timingOf(database, rule);
  const policy = onResume ?? rule.on_resume;
  const unclaimed = await firstUnclaimed(database, locked, rule.paused_at);
  const endAt = editedAt.getTime() + 1;
  const pausedAt = rule.paused_at.getTime();
  const { plan, fallen } = evaluate(() => {
    const first = firstDueAfter(timing, pausedAt);
    if (first === null) return { plan: { due: [] as Occurrence[], dropped: null, next: null }, fallen: 0 };
    const from = pauseWatermark({ timing, first, unclaimed: unclaimed?.getTime() ?? null, endAt, onResume: policy });
    const dropped = planDropped({ timing, fromAt: from.at, untilAt: endAt, keptMax: replayedMax[policy], nowAt: editedAt.getTime() });
    return { plan: dropped, fallen: countOccurrences(timing.rule, first.at, dropped.next?.at ?? endAt) };
  });
  if (plan.next === null && plan.due.length === 0) throw noNextOccurrence();
  const { dropped } = plan;
  await revise(database, locked, {
    paused_at: null,
    paused_until: null,
    pause_reason: null,
    completed_at: plan.next === null ? editedAt : null,
    completed_reason: null,
  });
  const stretches = dropped === null ? [] : [{ ...dropped, state: "skipped" as const, reason: "paused" as const }];
  await insertDecided(database, { ...rule, revision: rule.revision + 1 }, { due: plan.due, stretches }, editedAt);
  await setDueRow(database, key, plan.next);
  const effect = { skipped: Math.max(0, fallen - plan.due.length), replayed: plan.due.length };
  await recordScheduleEvent(database, key, { actor, at: editedAt, event: "resumed", detail: { ...effect, on_resume: policy } });
  await wakeDispatcher(database);
  return effect;
}

function noNextOccurrence(): Problem {
  return new Problem("no_next_occurrence", { detail: "The schedule's rule has no occurrence after now, so there is nothing to resume." });
}

function evaluate<Result>(look: () => Result): Result {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    throw new Problem("no_next_occurrence", {
      detail: `The schedule's rule can no longer be evaluated: its ${error.field} ${error.message}.`,
    });
  }
}
