/**
 * Why something ran or did not run at one instant of a schedule: from facts to the outcome, one sentence for whoever was woken up, and the decision step by step. Pure; the facts are collected by
 * `collect-facts.ts`.
 *
 * The ledger has the last word: where it has a row, the row says what became of the occurrence, and rule, pauses and limits only say why. Where it has none, they are asked in the order in which
 * a dispatcher asks them, and if none of them explains it, the occurrence is lost.
 */
import type { OccurrenceRow } from "./find-occurrence.ts";
import { explainHeadline } from "./explain-headline.ts";
import { explainSteps, type Step } from "./explain-steps.ts";
import type { InstantFacts } from "./instant-facts.ts";
import { isUnderMaintenance } from "./explain-phrases.ts";
import { pauseAt } from "./rule-history.ts";

export const explainOutcomes = [
  /** It was called at least once; the run's state says how that went. */
  "fired",
  /** It is in the ledger and was not called yet: claimed, in the queue, or waiting for its turn. */
  "queued",
  /** Its time has come and no dispatcher has evaluated it. */
  "overdue",
  /** It is still to come. */
  "not_yet_due",
  "skipped_overlap",
  "skipped_budget",
  "skipped_max_runs",
  "missed_grace",
  "missed_coalesced",
  "missed_catchup_limit",
  "missed_late",
  /** Withdrawn, because a newer run took its place. */
  "superseded",
  "canceled_by_edit",
  /** Sent again and again, and never taken up. */
  "lost_in_queue",
  "paused",
  "maintenance",
  "completed",
  "deleted",
  "not_yet_created",
  "never_matched",
  "dst_gap",
  "dst_overlap",
  "before_start",
  "after_end",
  "calendar",
  /** The rule cannot be evaluated. */
  "unusable_rule",
  /** It should be in the ledger and is not. */
  "lost",
] as const;

export type ExplainOutcome = (typeof explainOutcomes)[number];

export interface Explanation {
  outcome: ExplainOutcome;
  headline: string;
  steps: Step[];
}

export function explainInstant(facts: InstantFacts): Explanation {
  const outcome = decideOutcome(facts);
  return { outcome, headline: explainHeadline(facts, outcome), steps: explainSteps(facts, outcome) };
}

function decideOutcome(facts: InstantFacts): ExplainOutcome {
  const { run, rule, schedule, tenant, at, nowAt, watermark, local } = facts;
  if (local !== null && !local.isInstant) return isBeforeCreation(facts) ? "not_yet_created" : local.isNamed ? "dst_gap" : "never_matched";
  if (run !== null) return outcomeOfRun(run, facts);
  if (isBeforeCreation(facts)) return "not_yet_created";
  if (rule.trace === null) return "unusable_rule";
  if (!rule.trace.isOccurrence) return outcomeOfRule(facts);
  if (schedule.deleted_at !== null && rule.dueAt > schedule.deleted_at.getTime()) return "deleted";
  if (pauseAt(facts.pauses, rule.dueAt) !== null) return "paused";
  const isUnevaluated = watermark === null || at >= watermark;
  if (isUnevaluated && isUnderMaintenance(tenant, rule.dueAt)) return "maintenance";
  if (isAfterCompletion(facts)) return "completed";
  if (watermark === null && at > nowAt) return schedule.completed_at === null ? "lost" : "completed";
  if (watermark === null || at < watermark) return "lost";
  return rule.dueAt > nowAt ? "not_yet_due" : "overdue";
}

/** Occurrences are later than the instant of creation. */
function isBeforeCreation({ at, schedule }: InstantFacts): boolean {
  return at <= schedule.created_at.getTime();
}

/**
 * True while the schedule has had all the runs it may have. It is completed some time after the last of them, when it is known how they went, and nothing after the last one is in the ledger.
 */
function isAfterCompletion({ journal, at, followedBy }: InstantFacts): boolean {
  return journal.some(({ event, at: completed }, place) => {
    if (event !== "completed") return false;
    const completedAt = completed.getTime();
    const revived = journal.slice(place + 1).find((later) => later.event === "updated" || later.event === "resumed");
    const isAfterLast = at > completedAt || followedBy === null || followedBy > completedAt;
    return isAfterLast && (revived === undefined || at <= revived.at.getTime());
  });
}

function outcomeOfRun(run: OccurrenceRow, { withdrawal }: InstantFacts): ExplainOutcome {
  switch (run.state) {
    case "succeeded":
    case "running":
    case "retrying":
      return "fired";
    case "failed":
      return run.attempt === 0 ? "lost_in_queue" : "fired";
    case "pending":
    case "queued":
      return run.attempt === 0 ? "queued" : "fired";
    case "canceled":
      if (run.reason === "superseded") return "superseded";
      if (withdrawal?.event === "deleted") return "deleted";
      return withdrawal === null || withdrawal.event === "updated" ? "canceled_by_edit" : "paused";
    case "skipped":
      if (run.reason === "paused" || run.reason === "maintenance") return run.reason;
      return run.reason === "budget" || run.reason === "max_runs" ? `skipped_${run.reason}` : "skipped_overlap";
    case "missed":
      return run.reason === "coalesced" || run.reason === "catchup_limit" || run.reason === "late"
        ? `missed_${run.reason}`
        : "missed_grace";
  }
}

function outcomeOfRule({ rule }: InstantFacts): ExplainOutcome {
  switch (rule.trace?.verdict) {
    case "dst_gap":
    case "dst_overlap":
    case "calendar":
    case "before_start":
    case "after_end":
      return rule.trace.verdict;
    default:
      return rule.gap === null ? "never_matched" : "dst_gap";
  }
}
