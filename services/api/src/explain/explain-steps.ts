import { runReasons } from "@downbeat/store/run-states.ts";
import { formatWall } from "@downbeat/timing/local-time.ts";
import type { ExplainOutcome } from "./explain-instant.ts";
import {
  completionText,
  doubtsOf,
  holderText,
  instantText,
  isPutOff,
  isUnderMaintenance,
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

/** In the order of a decision. */
export const stepNames = [
  "schedule",
  "rule",
  "pattern",
  "zone",
  "bounds",
  "calendar",
  "pause",
  "maintenance",
  "completion",
  "spread",
  "misfire",
  "budget",
  "queue",
  "overlap",
  "attempts",
  "outcome",
] as const;

export interface Step {
  step: (typeof stepNames)[number];
  /** False: this is why it did not run, or not as planned. */
  passed: boolean;
  /** A sentence or two. */
  text: string;
  /** The same for programs: instants as texts, ids, policies. */
  data: Record<string, unknown>;
}

/** The decision, step by step. Steps that nobody takes are left out: a schedule without calendars has no step of them, and what the rule does not name was never decided about any further. */
export function explainSteps(facts: InstantFacts, outcome: ExplainOutcome): Step[] {
  if (outcome === "not_yet_created") return [scheduleStep(facts), outcomeStep(facts, outcome)];
  const steps = [scheduleStep(facts), ruleStep(facts), ...traceSteps(facts)];
  const isDecided = facts.run !== null || facts.rule.trace?.isOccurrence === true;
  if (isDecided && facts.local?.isInstant !== false) {
    const decided = [pauseStep, maintenanceStep, completionStep, spreadStep, misfireStep, budgetStep, queueStep, overlapStep, attemptsStep];
    steps.push(...decided.flatMap((build) => build(facts, outcome) ?? []));
  }
  return [...steps, outcomeStep(facts, outcome)];
}

function scheduleStep({ schedule, journal, at }: InstantFacts): Step {
  const { created_at: createdAt, deleted_at: deletedAt } = schedule;
  const creator = journal.find(({ event }) => event === "created")?.actor ?? null;
  const deleter = journal.findLast(({ event }) => event === "deleted")?.actor ?? null;
  const deleted = deletedAt === null ? "" : ` and deleted at ${instantText(deletedAt)}${deleter === null ? "" : ` by ${deleter}`}`;
  return {
    step: "schedule",
    passed: at > createdAt.getTime() && (deletedAt === null || at <= deletedAt.getTime()),
    text: `The schedule was created at ${instantText(createdAt)}${creator === null ? "" : ` by ${creator}`}${deleted}.`,
    data: { created_at: createdAt.toISOString(), created_by: creator, deleted_at: deletedAt?.toISOString() ?? null, deleted_by: deleter },
  };
}

const editsShown = 3;

function ruleStep(facts: InstantFacts): Step {
  const { rule, spans, schedule, run, at } = facts;
  const { span } = rule;
  const edits = spans.slice(spans.indexOf(span)).flatMap(({ endedBy }) => endedBy ?? []);
  const told = edits.slice(0, editsShown).map((edit) => {
    const changes = changesOf(edit).map(({ field, before, after }) => `${field} from ${valueText(before)} to ${valueText(after)}`);
    return `At ${instantText(edit.at)} ${edit.actor} changed ${changes.join(", ")}.`;
  });
  const since = span.fromAt === -Infinity ? "since the schedule was created" : `since ${isoText(span.fromAt)}`;
  const more = edits.length > editsShown ? ` And ${countText(edits.length - editsShown, "later edit")}.` : "";
  const which =
    edits.length === 0
      ? `The rule ${verb(facts, "was", "is")} ${ruleText(facts)}, in force ${since}.`
      : span.toAt < at
        ? `It was claimed while the rule was ${ruleText(facts)}, which was edited before its time. ${told.join(" ")}${more}`
        : `The rule of then was ${ruleText(facts)}; it has been edited since. ${told.join(" ")}${more}`;
  return {
    step: "rule",
    passed: true,
    text: [which, ...doubtsOf(facts)].join(" "),
    data: {
      rule: ruleText(facts),
      revision: run?.schedule_revision ?? null,
      revision_now: schedule.revision,
      in_force_from: span.fromAt === -Infinity ? schedule.created_at.toISOString() : new Date(span.fromAt).toISOString(),
      in_force_until: span.toAt === Infinity ? null : new Date(span.toAt).toISOString(),
      edits_since: edits.map((edit) => ({ at: edit.at.toISOString(), actor: edit.actor, changes: changesOf(edit) })),
    },
  };
}

/** What the rule by itself says. */
function traceSteps(facts: InstantFacts): Step[] {
  const { rule, local } = facts;
  const { row } = rule.span;
  const policies = row.kind === "cron" ? { timezone: row.timezone, dst_gap: row.dst_gap, dst_overlap: row.dst_overlap } : {};
  const localStep: Step[] =
    local === null || local.shown === "once"
      ? []
      : [
          {
            step: "zone",
            passed: local.isInstant,
            text: local.text,
            data: { local: formatWall(local.wall), ...policies, others: local.others.map((at) => new Date(at).toISOString()) },
          },
        ];
  if (local?.isInstant === false) {
    const text = `${ruleText(facts)} ${local.isNamed ? "names" : "does not name"} ${formatWall(local.wall)}.`;
    return [{ step: "pattern", passed: local.isNamed, text, data: { rule: ruleText(facts) } }, ...localStep];
  }
  if (rule.trace === null) return [{ step: "pattern", passed: false, text: `The rule cannot be evaluated: ${rule.problem}.`, data: {} }];
  const data = {
    pattern: { rule: ruleText(facts), matches: rule.trace.steps[0]?.passed === true },
    zone: policies,
    bounds: { starts_at: row.starts_at?.toISOString() ?? null, ends_at: row.ends_at?.toISOString() ?? null },
    calendar: { calendars: (rule.span.timing.rule.calendars ?? []).map(({ name, kind }) => ({ name, kind })) },
  };
  const traced = rule.trace.steps
    // What the clocks skip has been told of already.
    .filter(({ step }) => step !== "zone" || local?.shown !== "never")
    .map(({ step, passed, text }): Step => ({ step, passed, text: text.replaceAll(".000Z", "Z"), data: data[step] }));
  // What the rule does not name is not put to its bounds and calendars.
  const [pattern] = traced;
  const gap: Step[] =
    rule.gap === null
      ? []
      : [{ step: "zone", passed: false, text: rule.gap.text, data: { slots: rule.gap.slots.map(formatWall), ...policies } }];
  if (pattern?.passed === false) return [pattern, ...gap, ...localStep];
  return pattern === undefined ? localStep : [pattern, ...localStep, ...traced.slice(1)];
}

function pauseStep(facts: InstantFacts): Step {
  const pause = pauseAt(facts.pauses, facts.rule.dueAt);
  const data = {
    paused_from: pause === null ? null : new Date(pause.fromAt).toISOString(),
    paused_until: pause === null || pause.toAt === null ? null : new Date(pause.toAt).toISOString(),
    paused_by: pause?.startedBy ?? null,
    reason: pause?.reason ?? null,
    on_resume: facts.rule.span.row.on_resume,
  };
  if (pause === null) return { step: "pause", passed: true, text: `The schedule ${verb(facts, "was", "is")} not paused then.`, data };
  const { on_resume: onResume } = facts.rule.span.row;
  const then = { skip: "skipped", latest: "skipped, but for the newest", all: "made up for" }[onResume];
  return {
    step: "pause",
    passed: false,
    text: `The schedule ${pauseText(pause, true)}. By on_resume "${onResume}" what falls into a pause is ${then}.`,
    data,
  };
}

function maintenanceStep(facts: InstantFacts): Step | null {
  const { tenant, run, rule } = facts;
  const { maintenance_from: from, maintenance_until: until, maintenance_reason: reason } = tenant;
  const isUnder = run === null ? isUnderMaintenance(tenant, rule.dueAt) : run.reason === "maintenance";
  if (from === null && !isUnder) return null;
  return {
    step: "maintenance",
    passed: !isUnder,
    text: isUnder ? `The tenant ${maintenanceText(facts)}.` : `The tenant ${verb(facts, "was", "is")} not under maintenance then.`,
    data: { from: from?.toISOString() ?? null, until: until?.toISOString() ?? null, reason },
  };
}

function completionStep(facts: InstantFacts, outcome: ExplainOutcome): Step | null {
  const { rule, run, schedule, journal } = facts;
  const { max_runs: maxRuns } = rule.span.row;
  const isOver = run === null ? journal.some(({ event }) => event === "completed") : run.reason === "max_runs";
  const isUndecided = outcome === "overdue" && isPutOff(facts);
  if (maxRuns === null && !isOver) return null;
  const limit = maxRuns === null ? "" : `The schedule may have ${countText(maxRuns, "run")}.`;
  const completed = isOver || schedule.completed_at !== null ? ` It was completed${completionText(facts)}.` : "";
  const undecided = isUndecided
    ? ` Not all that were claimed have started, so a dispatcher looks again at ${instantText(facts.lookAt)}.`
    : "";
  return {
    step: "completion",
    passed: !isUndecided && outcome !== "completed" && outcome !== "skipped_max_runs",
    text: `${limit}${completed}${undecided}`.trim(),
    data: { max_runs: maxRuns, completed_at: schedule.completed_at?.toISOString() ?? null, completed_reason: schedule.completed_reason },
  };
}

function spreadStep({ rule, run, at }: InstantFacts): Step | null {
  if (rule.span.timing.spread === null && run?.spread_ms == null) return null;
  const spreadMs = run?.spread_ms ?? rule.dueAt - at;
  return {
    step: "spread",
    passed: true,
    text: `The schedule is spread: what occurs at ${isoText(at)} starts ${lengthText(spreadMs)} later, at ${isoText(at + spreadMs)}.`,
    data: { nominal: new Date(at).toISOString(), effective: new Date(at + spreadMs).toISOString(), spread_ms: spreadMs },
  };
}

/** Dispatchers look ahead, so a claim in time is one before the instant; a little late is ordinary. */
const lateToleranceMs = 60_000;

function misfireStep(facts: InstantFacts): Step | null {
  const { run, rule, nowAt, watermark, at, tenant } = facts;
  const { misfire, grace_seconds: graceSeconds } = rule.span.row;
  const grace = graceSeconds === null ? "no grace limits how late something may run" : `grace is ${lengthText(graceSeconds * 1_000)}`;
  const policy = `misfire is "${misfire}" and ${grace}`;
  const data = { misfire, grace_seconds: graceSeconds };
  if (run === null) {
    if (watermark === null || at < watermark || rule.dueAt > nowAt || isUnderMaintenance(tenant, rule.dueAt) || isPutOff(facts))
      return null;
    const text = `No dispatcher has evaluated it, ${lengthText(nowAt - rule.dueAt)} after its time; ${lastPassText(facts)}. When one does, ${policy}.`;
    return { step: "misfire", passed: false, text, data: { ...data, late_ms: nowAt - rule.dueAt } };
  }
  // What fell into a pause or maintenance was decided about when that was over, which nobody was late for.
  if (run.reason === "paused" || run.reason === "maintenance") return null;
  const isMissed = run.state === "missed";
  const decidedAt = (run.range_count === null && isMissed ? run.finished_at : run.created_at) ?? run.created_at;
  const dueAt = run.spread_ms === null ? rule.dueAt : at + run.spread_ms;
  const lateMs = decidedAt.getTime() - dueAt;
  if (!isMissed && lateMs <= lateToleranceMs) return null;
  const who = run.range_count === null && isMissed ? "It was not started until" : "Dispatchers did not evaluate it until";
  return {
    step: "misfire",
    passed: !isMissed,
    text: `${who} ${instantText(decidedAt)}, ${lengthText(lateMs)} after its time; ${policy}.${
      isMissed && run.reason !== null ? ` ${runReasons[run.reason]}` : " So it was not missed."
    }`,
    data: { ...data, decided_at: decidedAt.toISOString(), late_ms: lateMs, ...stretchData(run) },
  };
}

function budgetStep({ run, tenant, tenantRuns }: InstantFacts): Step | null {
  const { runs_per_day_max: limit } = tenant;
  if (run === null || (limit === null && run.reason !== "budget")) return null;
  const day = run.created_at.toISOString().slice(0, 10);
  const used =
    tenantRuns === null ? "" : `; on ${day} (UTC) ${countText(tenantRuns, "run")} ${tenantRuns === 1 ? "was" : "were"} planned for it`;
  return {
    step: "budget",
    passed: run.reason !== "budget",
    text: `The tenant may have ${limit === null ? "as many runs as it likes now" : `${countText(limit, "run")} a day`}${used}.`,
    data: { runs_per_day_max: limit, day, runs: tenantRuns },
  };
}

function queueStep(facts: InstantFacts): Step | null {
  const { run, rule, detail, nowAt } = facts;
  if (run === null || run.range_count !== null) return null;
  const dueAt = run.scheduled_for.getTime() + (run.spread_ms ?? 0);
  const firstStart = detail?.attempts[0]?.started_at ?? (run.attempt === 1 ? run.started_at?.toISOString() : undefined) ?? null;
  const [claimed, queued] = [run.created_at.getTime(), run.queued_at?.getTime() ?? null];
  const queuedText = queued === null ? "has not been noted as handed to the queue" : `was handed to the queue at ${isoText(queued)}`;
  const lagMs = firstStart === null ? null : Date.parse(firstStart) - dueAt;
  const started =
    firstStart === null
      ? "has not been started"
      : `was first started at ${instantText(firstStart)}, ${distanceText(Date.parse(firstStart), dueAt)} its time`;
  const isLate = firstStart === null && rule.dueAt <= nowAt && (run.state === "pending" || run.state === "queued") && run.reason === null;
  return {
    step: "queue",
    passed: !isLate && !(run.state === "failed" && run.attempt === 0),
    text: `It was claimed at ${isoText(claimed)}, ${distanceText(claimed, dueAt)} its time, ${queuedText}, and ${started}.`,
    data: {
      claimed_at: run.created_at.toISOString(),
      queued_at: run.queued_at?.toISOString() ?? null,
      due_at: run.due_at.toISOString(),
      first_started_at: firstStart,
      lag_ms: lagMs,
    },
  };
}

/** Asked when a run is about to start, or claimed late. One-offs have no other run; what never got that far was never asked. */
function overlapStep(facts: InstantFacts): Step | null {
  const { run, rule, blocker, detail } = facts;
  const { overlap, kind, max_instances: instancesMax } = rule.span.row;
  if (run === null || kind === "once" || (run.attempt === 0 && run.blocked_by === null)) return null;
  const policy =
    overlap === "allow"
      ? `overlap policy is "allow", with at most ${countText(instancesMax, "instance")}`
      : `overlap policy is "${overlap}"`;
  const data = { overlap, max_instances: instancesMax, blocked_by: run.blocked_by, blocked_by_state: blocker?.state ?? null };
  if (run.state === "skipped" || run.state === "pending") {
    return { step: "overlap", passed: false, text: `The ${policy}, and ${holderText(facts)}.`, data };
  }
  if (run.state === "canceled" && run.reason === "superseded") {
    return { step: "overlap", passed: false, text: `The ${policy}: the newer ${runText(blocker, run.blocked_by)} took its place.`, data };
  }
  const waited = detail?.timeline.find(({ event }) => event === "waiting");
  const text =
    waited === undefined
      ? `The ${policy}, and it was let in.`
      : `The ${policy}: it waited from ${instantText(waited.at)} behind ${runText(blocker, run.blocked_by)}, and then was let in.`;
  return { step: "overlap", passed: true, text, data: { ...data, waited_from: waited?.at ?? null } };
}

const attemptsShown = 4;

function attemptsStep({ run, detail, nowAt }: InstantFacts): Step | null {
  const { attempts = [] } = detail ?? {};
  if (run === null || (attempts.length === 0 && run.attempt === 0)) return null;
  const shown = attempts.slice(-attemptsShown).map(({ attempt, outcome, code, http_status: status, duration_ms: durationMs }) => {
    const answer = status === null || code === `http_${status}` ? "" : ` (HTTP ${status})`;
    return `attempt ${attempt}: ${code ?? outcome}${answer}${durationMs === null ? "" : ` in ${lengthText(durationMs)}`}`;
  });
  const left = attempts.length - shown.length;
  const running =
    run.state === "running" ? [`attempt ${run.attempt} is under way for ${lengthText(nowAt - (run.started_at?.getTime() ?? nowAt))}`] : [];
  if (shown.length + running.length === 0) shown.push(`of its ${countText(run.attempt, "attempt")} nothing is recorded`);
  const told = [...(left > 0 ? [`${countText(left, "earlier attempt")} failed`] : []), ...shown, ...running].join("; ");
  return {
    step: "attempts",
    passed: run.state === "succeeded" || run.state === "running",
    text: `${told.charAt(0).toUpperCase()}${told.slice(1)}.`,
    data: { attempts: run.attempt, last_code: attempts.at(-1)?.code ?? null, last_http_status: attempts.at(-1)?.http_status ?? null },
  };
}

function outcomeStep(facts: InstantFacts, outcome: ExplainOutcome): Step {
  const { run, auditedAt, others } = facts;
  const passed = run === null ? outcome === "not_yet_due" : !["failed", "canceled", "skipped", "missed"].includes(run.state);
  const beside =
    others.length === 0
      ? ""
      : ` In the same minute ${others.length === 1 ? "a run was" : `${others.length} runs were`} asked for beside the rule.`;
  if (run === null) {
    const looked = auditedAt === null ? "has no record of looking at this instant" : `looked at this instant at ${isoText(auditedAt)}`;
    const audited = ` The self-audit (downbeat audit, with an administrator's key) ${looked}.`;
    const text = `The ledger has nothing of the rule at this instant.${outcome === "lost" ? audited : ""}${beside}`;
    return {
      step: "outcome",
      passed,
      text,
      data: { outcome, state: null, reason: null, audited_at: auditedAt === null ? null : new Date(auditedAt).toISOString() },
    };
  }
  const reason = run.reason === null || run.state === "pending" ? "" : ` (${run.reason}): ${runReasons[run.reason].replace(/\.$/, "")}`;
  const stretch =
    run.range_count === null || run.range_from === null || run.range_count === 1
      ? ""
      : ` It is one row for ${countText(run.range_count, "occurrence")}, from ${instantText(run.range_from)} to ${instantText(run.scheduled_for)}.`;
  return {
    step: "outcome",
    passed,
    text: `The ledger has it as ${run.state}${reason}.${stretch}${beside}`,
    data: { outcome, run: run.id, state: run.state, reason: run.reason, ...stretchData(run) },
  };
}

function stretchData({ id, range_from: from, range_count: count, scheduled_for: to }: OccurrenceRow): Record<string, unknown> {
  if (from === null || count === null) return {};
  return { row: id, range_from: from.toISOString(), range_to: to.toISOString(), range_count: count };
}
