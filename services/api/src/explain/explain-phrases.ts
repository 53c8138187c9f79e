/** Parts of sentences about an instant of a schedule, shared by the headline and the steps. */
import { isoText, lengthText, valueText } from "./explain-words.ts";
import type { InstantFacts } from "./instant-facts.ts";
import type { PauseSpan } from "./rule-history.ts";

export function instantText(at: Date | string | number | null | undefined): string {
  return at === null || at === undefined ? "an unknown instant" : isoText(new Date(at).getTime());
}

/** Chooses by whether the instant is past. */
export function verb({ at, nowAt }: Pick<InstantFacts, "at" | "nowAt">, past: string, future: string): string {
  return at <= nowAt ? past : future;
}

/** A sentence as the continuation of another. What begins with a name or a quote is left as it is. */
export function continued(sentence: string): string {
  const text = sentence.replace(/\.$/, "");
  return /^(The|No|It|Its|Every|Sent|Another|Older|Once) /.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

/** The rule that decided, as its owner wrote it. */
export function ruleText({ rule }: Pick<InstantFacts, "rule">): string {
  const { kind, cron_expression: expression, interval_seconds: seconds, anchor_at: anchor, run_at: runAt, timezone } = rule.span.row;
  if (kind === "cron") return `"${expression ?? ""}" in ${timezone}`;
  return kind === "interval" ? `every ${seconds} s from ${instantText(anchor)}` : `once at ${instantText(runAt)}`;
}

/** `run 0198… of 2026-03-08T07:00:00Z`. */
export function runText(run: { id: string; scheduled_for: Date } | null, id?: string | null): string {
  return run === null ? `run ${id ?? "unknown"}` : `run ${run.id} of ${instantText(run.scheduled_for)}`;
}

/** The run that held its place. */
export function holderText({ run, blocker, nowAt }: InstantFacts): string {
  if (run === null || run.blocked_by === null) return "another run of the schedule was under way";
  const holder = runText(blocker, run.blocked_by);
  if (blocker === null) return `${holder} was under way`;
  if (blocker.trigger_id === "" && blocker.scheduled_for > run.scheduled_for) return `the newer ${holder} was to run in its place`;
  const started = blocker.started_at === null ? "it " : `it started at ${instantText(blocker.started_at)} and `;
  const hasEnded = blocker.finished_at !== null && blocker.finished_at.getTime() <= nowAt;
  const ended = hasEnded ? `ended at ${instantText(blocker.finished_at)} (${blocker.state})` : `is still ${blocker.state}`;
  // After a downtime several are late at once, and what starts first holds the place of the others before it has started.
  const isFirstOfLate = run.range_count !== null && (blocker.started_at === null || blocker.started_at > run.created_at);
  const was = isFirstOfLate ? "was late as well and had the first turn" : `${run.state === "pending" ? "is" : "was"} under way`;
  return `${holder} ${was}: ${started}${ended}`;
}

/** `was paused from … until …`, `has been paused since …, until somebody resumes it`. */
export function pauseText({ fromAt, toAt, endedBy, startedBy, reason }: PauseSpan, isNamed: boolean): string {
  const from = isoText(fromAt);
  const by = isNamed ? ` by ${startedBy}` : "";
  const why = reason === null ? "" : `: ${valueText(reason)}`;
  if (endedBy !== null) return `was paused${by} from ${from} until ${isoText(toAt ?? fromAt)}${why}`;
  return `has been paused${by} since ${from}, until ${toAt === null ? "somebody resumes it" : isoText(toAt)}${why}`;
}

export function isUnderMaintenance({ maintenance_from: from, maintenance_until: until }: InstantFacts["tenant"], dueAt: number): boolean {
  return from !== null && dueAt >= from.getTime() && (until === null || dueAt < until.getTime());
}

/** True while nobody knows whether the schedule may have another run: those that it may have are claimed, and not all of them have started. */
export function isPutOff({ schedule, lookAt, nowAt }: InstantFacts): boolean {
  return schedule.max_runs !== null && schedule.paused_at === null && lookAt !== null && lookAt > nowAt;
}

/** Read after "its tenant". Of a maintenance of the past only the ledger's word is left. */
export function maintenanceText({ tenant, nowAt, rule }: InstantFacts): string {
  const { maintenance_from: from, maintenance_until: until, maintenance_reason: reason } = tenant;
  if (!isUnderMaintenance(tenant, rule.dueAt)) return "was under maintenance then";
  const why = reason === null ? "" : `: ${valueText(reason)}`;
  const isOver = until !== null && until.getTime() <= nowAt;
  const end = until === null ? ", and nobody has said until when" : ` until ${instantText(until)}`;
  return `${isOver ? "was" : "is"} under maintenance from ${instantText(from)}${end}${why}`;
}

/** Read after "completed". */
export function completionText({ journal, schedule }: InstantFacts): string {
  const completed = journal.findLast(({ event }) => event === "completed");
  const at = completed?.at ?? schedule.completed_at;
  const why = completed?.reason === "max_runs" ? ", when it had had all the runs it may have" : "";
  return `${at === null ? "" : ` at ${instantText(at)}`}${why}`;
}

export function lastPassText({ lastPassAt, nowAt }: Pick<InstantFacts, "lastPassAt" | "nowAt">): string {
  if (lastPassAt === null) return "no dispatcher has made a pass yet";
  return `the dispatchers' last pass ended at ${isoText(lastPassAt)}, ${lengthText(nowAt - lastPassAt)} ago`;
}

/** What makes it doubtful that the rule, as it is known, says what it said then: sentences. */
export function doubtsOf({ at, rule, journal, spans }: InstantFacts): string[] {
  const since = spans.slice(spans.indexOf(rule.span));
  const changed = rule.span.calendars.flatMap(({ id, name, updatedAt, isUnknown }) => {
    // While a schedule uses a calendar, its journal has what the calendar said before.
    const isTold = since.every(({ row }) => row.calendar_ids.includes(id));
    const isDoubtful = isUnknown || (updatedAt >= at && !isTold);
    return isDoubtful ? [`The calendar "${name}" was changed since, at ${isoText(updatedAt)}, and what it said before is not kept.`] : [];
  });
  const lost =
    rule.span.lostCalendars.length === 0 ? [] : ["It named a calendar that has been deleted since, and what that said is not kept."];
  const moves = journal
    .filter(({ event }) => event === "moved")
    .map(({ at: toldAt, detail }) => Math.max(toldAt.getTime(), typeof detail["from"] === "string" ? Date.parse(detail["from"]) : 0));
  const movedAt = Math.max(-Infinity, ...moves);
  const moved =
    at < movedAt
      ? [`Its zone's clocks were ruled otherwise then: the time zone database of today counts from ${isoText(movedAt)} on.`]
      : [];
  return [...changed, ...lost, ...moved];
}
