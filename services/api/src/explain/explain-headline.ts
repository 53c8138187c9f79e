import { runReasons } from "@downbeat/store/run-states.ts";
import { formatWall } from "@downbeat/timing/local-time.ts";
import type { ExplainOutcome } from "./explain-instant.ts";
import {
  completionText,
  continued,
  doubtsOf,
  holderText,
  instantText,
  isPutOff,
  lastPassText,
  maintenanceText,
  pauseText,
  ruleText,
  runText,
  verb,
} from "./explain-phrases.ts";
import { countText, distanceText, isoText, lengthText, valueText } from "./explain-words.ts";
import type { OccurrenceRow } from "./find-occurrence.ts";
import type { InstantFacts } from "./instant-facts.ts";
import { changesOf, pauseAt } from "./rule-history.ts";

/** One sentence: what became of the instant, and why. */
export function explainHeadline(facts: InstantFacts, outcome: ExplainOutcome): string {
  const { run, at, nowAt, schedule, rule, local } = facts;
  const moved = local?.shown === "never" ? ` (for ${formatWall(local.wall)}, which the clocks of ${local.timezone} skip)` : "";
  const name = `The occurrence of ${isoText(at)}${moved}`;
  const nothing = `Nothing ${verb(facts, "was", "is")} to run at ${isoText(at)}`;
  switch (outcome) {
    case "fired":
      return firedHeadline(name, present(run), facts);
    case "queued":
      return queuedHeadline(name, present(run), facts);
    case "overdue":
      return isPutOff(facts)
        ? `${name} was to start ${lengthText(nowAt - rule.dueAt)} ago and is put off until it is known whether the schedule has had all its runs${maxRunsText(facts)}; a dispatcher looks again at ${instantText(facts.lookAt)}.`
        : `${name} was to start ${lengthText(nowAt - rule.dueAt)} ago and no dispatcher has evaluated it yet; ${lastPassText(facts)}.`;
    case "not_yet_due":
      return `${name} is still to come: it will start at ${isoText(rule.dueAt)}, in ${lengthText(rule.dueAt - nowAt)}${
        rule.span.row.max_runs === null ? "" : `, if the schedule has not had all its runs by then${maxRunsText(facts)}`
      }.`;
    case "skipped_overlap":
      return `${name} was skipped, because ${holderText(facts)}.`;
    case "skipped_budget":
      return `${name} was skipped, because its tenant had used up its runs of the day${limitText(facts)}.`;
    case "skipped_max_runs":
      return `${name} was skipped, because the schedule had had as many runs as it may have${maxRunsText(facts)}.`;
    case "missed_grace":
    case "missed_coalesced":
    case "missed_catchup_limit":
    case "missed_late":
      return missedHeadline(name, present(run), facts);
    case "superseded":
      return `${name} was canceled at ${instantText(run?.finished_at)}, because the newer ${runText(facts.blocker, run?.blocked_by)} took its place.`;
    case "canceled_by_edit":
      return `${name} was withdrawn ${whenWithdrawn(facts)}, because the schedule was edited${editText(facts)}.`;
    case "lost_in_queue":
      return `${name} was never called: it was handed to the queue again and again until ${instantText(run?.finished_at)}, and no executor took it up.`;
    case "paused":
      return pausedHeadline(name, facts);
    case "maintenance":
      return `${name} ${run === null ? `${verb(facts, "did", "will")} not run` : "was skipped"}, because its tenant ${maintenanceText(facts)}.`;
    case "completed":
      return `${name} ${verb(facts, "did", "will")} not run, because the schedule was completed${completionText(facts)}.`;
    case "deleted":
      return run === null
        ? `${name} ${verb(facts, "did", "will")} not run, because the schedule was deleted at ${instantText(schedule.deleted_at)}.`
        : `${name} was withdrawn ${whenWithdrawn(facts)}, because the schedule was deleted.`;
    case "not_yet_created":
      return `Nothing could run at ${isoText(at)}, because the schedule was created at ${instantText(schedule.created_at)}, ${lengthText(schedule.created_at.getTime() - at)} later.`;
    case "never_matched":
      return neverMatchedHeadline(nothing, facts);
    case "dst_gap":
      return local?.isInstant === false ? local.text : (rule.gap?.text ?? `${nothing}: the clocks skip it.`);
    case "dst_overlap":
    case "before_start":
    case "after_end":
    case "calendar":
      return `${nothing}: ${continued(rule.trace?.steps.find(({ passed }) => !passed)?.text ?? "")}${neighboursText(facts)}.`;
    case "unusable_rule":
      return `Nobody can say what ${verb(facts, "was", "is")} to run at ${isoText(at)}, because the rule cannot be evaluated: ${rule.problem}.`;
    case "lost":
      return `${name} should be in the ledger and is not, and nothing explains that: look at the self-audit${auditText(facts)}.`;
  }
}

function present(run: OccurrenceRow | null): OccurrenceRow {
  if (run === null) throw new Error("what became of a run is told although there is none");
  return run;
}

function firedHeadline(name: string, run: OccurrenceRow, { detail, nowAt }: InstantFacts): string {
  const last = detail?.attempts.at(-1);
  const ended =
    last === undefined ? "" : `, the last one at ${instantText(last.started_at ?? last.finished_at)} with ${last.code ?? last.outcome}`;
  switch (run.state) {
    case "succeeded": {
      const status = run.http_status === null ? "" : ` with HTTP ${run.http_status}`;
      const lag = run.attempt === 1 ? `, ${lagText(run)} its time` : ` for the ${ordinalText(run.attempt)} time`;
      return `${name} ran and succeeded${status}: it was called at ${instantText(run.started_at)}${lag}.`;
    }
    case "failed":
      return `${name} ran and failed after ${countText(run.attempt, "attempt")}${ended}: ${failureText(run)}.`;
    case "running":
      return `${name} is running: attempt ${run.attempt} started at ${instantText(run.started_at)}${agoText(run.started_at, nowAt)}.`;
    default: {
      const times = run.attempt === 1 ? "once" : `${run.attempt} times`;
      return `${name} has failed ${times} so far${ended}; it is tried again at ${instantText(run.due_at)}.`;
    }
  }
}

function queuedHeadline(name: string, run: OccurrenceRow, facts: InstantFacts): string {
  const { nowAt } = facts;
  const dueAt = run.due_at.getTime();
  if (run.reason === "overlap") return `${name} has been waiting for its turn since ${isoText(dueAt)}, because ${holderText(facts)}.`;
  const where = run.state === "queued" ? `handed to the queue at ${instantText(run.queued_at)}` : "the queue has not accepted it yet";
  const way = `it was claimed at ${instantText(run.created_at)} and ${where}`;
  return dueAt > nowAt
    ? `${name} is on its way: ${way}; it starts at ${isoText(dueAt)}, in ${lengthText(dueAt - nowAt)}.`
    : `${name} was to start ${lengthText(nowAt - dueAt)} ago and no executor has started it yet: ${way}.`;
}

function missedHeadline(name: string, run: OccurrenceRow, { at, replacement, rule }: InstantFacts): string {
  // One that was made into a run and then waited too long was ended by an executor.
  const isWaited = run.range_count === null;
  const decidedAt = (isWaited ? run.finished_at : run.created_at)?.getTime() ?? at;
  const late = `${isWaited ? "no executor took it up" : "no dispatcher evaluated it"} until ${isoText(decidedAt)}, ${lengthText(decidedAt - at)} after its time`;
  const { grace_seconds: grace } = rule.span.row;
  switch (run.reason) {
    case "coalesced": {
      const instead = replacement === null ? "" : `, ${runText(replacement)}`;
      return `${name} was missed: ${late}, and of all that were late by then misfire "latest" runs only the newest${instead}.`;
    }
    case "catchup_limit":
      return `${name} was missed: ${late}, and more were late by then than misfire "all" makes up for.`;
    case "late":
      return `${name} was missed: ${late}, and misfire "skip" runs nothing that is late.`;
    default:
      return `${name} was missed: ${late}, which is more than the schedule's grace${grace === null ? "" : ` of ${lengthText(grace * 1_000)}`}.`;
  }
}

function pausedHeadline(name: string, facts: InstantFacts): string {
  const { run, withdrawal, schedule } = facts;
  if (run?.state === "canceled") {
    const reason = withdrawal?.reason ?? schedule.pause_reason;
    return `${name} was withdrawn ${whenWithdrawn(facts)}, because the schedule was paused${reason === null ? "" : `: ${valueText(reason)}`}.`;
  }
  const pause = pauseAt(facts.pauses, facts.rule.dueAt);
  if (pause === null) return `${name} was skipped, because the schedule was paused then.`;
  const not = run === null ? `${verb(facts, "did", "will")} not run` : "was skipped";
  return `${name} ${not}, because the schedule ${pauseText(pause, false)}.`;
}

function neverMatchedHeadline(nothing: string, facts: InstantFacts): string {
  const { at, local, spreadFrom, rule } = facts;
  if (local?.isInstant === false)
    return `Nothing ${verb(facts, "was", "is")} to run then, because ${ruleText(facts)} does not name it; besides, ${continued(local.text)}.`;
  if (spreadFrom !== null) {
    return `${isoText(at)} is no occurrence but when the one of ${isoText(spreadFrom)} starts, which the schedule's spread delays: ask about that instant.`;
  }
  return `${nothing}: ${continued(rule.trace?.steps[0]?.text ?? "")}${neighboursText(facts)}.`;
}

/** `; the occurrence before was at …, the next is at …`. */
function neighboursText({ previousAt, nextAt, nowAt }: InstantFacts): string {
  const before =
    previousAt === null ? "" : `; the occurrence before ${verb({ at: previousAt, nowAt }, "was", "is")} at ${isoText(previousAt)}`;
  const after =
    nextAt === null
      ? ""
      : `${before === "" ? "; the next occurrence" : ", the next"} ${verb({ at: nextAt, nowAt }, "was", "is")} at ${isoText(nextAt)}`;
  return `${before}${after}`;
}

function editText({ withdrawal }: InstantFacts): string {
  if (withdrawal === null) return "";
  const changes = changesOf(withdrawal).map(({ field, before, after }) => `${field} from ${valueText(before)} to ${valueText(after)}`);
  return ` by ${withdrawal.actor}, who changed ${changes.length === 0 ? "what is called" : changes.join(", ")}`;
}

function maxRunsText({ rule }: InstantFacts): string {
  const { max_runs: maxRuns } = rule.span.row;
  return maxRuns === null ? "" : ` (${countText(maxRuns, "run")})`;
}

function limitText({ tenant }: InstantFacts): string {
  return tenant.runs_per_day_max === null ? "" : ` (${countText(tenant.runs_per_day_max, "run")})`;
}

function auditText(facts: InstantFacts): string {
  const at = new Date(facts.at).toISOString();
  const told = facts.journal.find(
    ({ event, detail }) => event === "audit_difference" && Array.isArray(detail["lost"]) && detail["lost"].includes(at),
  );
  if (told !== undefined) return `, which found it at ${instantText(told.at)}`;
  const [doubt] = doubtsOf(facts);
  return doubt === undefined ? "" : `, but note that ${continued(doubt)}`;
}

function failureText({ reason }: OccurrenceRow): string {
  return reason === null ? "it is not known why" : continued(runReasons[reason]);
}

function whenWithdrawn({ run, at }: InstantFacts): string {
  const canceledAt = run?.finished_at?.getTime();
  return canceledAt === undefined ? "" : `at ${isoText(canceledAt)}, ${distanceText(canceledAt, at)} its time`;
}

/** `14 ms after`: from when it was to start. */
function lagText({ started_at: startedAt, scheduled_for: scheduledFor, spread_ms: spreadMs }: OccurrenceRow): string {
  const dueAt = scheduledFor.getTime() + (spreadMs ?? 0);
  return distanceText(startedAt?.getTime() ?? dueAt, dueAt);
}

function agoText(at: Date | null, nowAt: number): string {
  return at === null || at.getTime() > nowAt ? "" : `, ${lengthText(nowAt - at.getTime())} ago`;
}

function ordinalText(count: number): string {
  return `${count}${{ 1: "st", 2: "nd", 3: "rd" }[count] ?? "th"}`;
}
