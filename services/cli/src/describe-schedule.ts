import type { Schedule, ScheduleImpact, WrittenSchedule } from "./api-answers.ts";
import { count } from "./describe-backfill.ts";
import { formatInstant } from "./format-instant.ts";
import { printable } from "./printable.ts";

/** When a schedule runs, in its own words: `dailyAt(13:00) = 0 13 * * * Europe/Berlin`, `every 5m`, `once at …`. */
export function describeRule(
  schedule: Pick<Schedule, "cron_expression" | "frequency" | "timezone" | "interval_seconds" | "run_at">,
): string {
  const { cron_expression: expression, frequency, timezone, interval_seconds: seconds } = schedule;
  if (expression !== null) return `${frequency === null ? "" : `${frequency} = `}${expression} ${timezone ?? ""}`.trim();
  if (seconds !== null) return `every ${formatSeconds(seconds)}`;
  return `once at ${formatInstant(schedule.run_at)}`;
}

/** `90s`, `5m`, `2h`, `1d`, as options take it. */
export function formatSeconds(seconds: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ] as const;
  const [size, unit] = units.find(([of]) => seconds >= of && seconds % of === 0) ?? [1, "s"];
  return `${seconds / size}${unit}`;
}

/** What a change means over 30 days, on one line. */
export function describeImpact(impact: ScheduleImpact): string {
  const { runs_before: before, runs_after: after, added, removed, withdrawn } = impact;
  const differences = added === null || removed === null ? "" : ` (${number(added)} more, ${number(removed)} fewer)`;
  return [
    before === after && added === 0 && removed === 0
      ? `${count(after, "run")} in 30 days, the same as before`
      : `${count(after, "run")} in 30 days where it was ${number(before)}${before === 0 ? "" : differences}`,
    `at most ${count(impact.queue_requests_max, "queue request")}`,
    ...(withdrawn === 0 ? [] : [`${count(withdrawn, "run")} claimed ahead ${withdrawn === 1 ? "is" : "are"} withdrawn`]),
  ].join("; ");
}

/** A line for each clock change that concerns it. */
export function describeWarnings(warnings: WrittenSchedule["warnings"]): string[] {
  return warnings.map(({ text }) => `clock change: ${printable(text)}`);
}

/** All of a schedule, a fact on each line; what it does not have is left out. */
export function describeSchedule(schedule: Schedule): string[] {
  const { stats, target } = schedule;
  const facts: [string, string | number | null][] = [
    ["schedule", schedule.name],
    ["id", schedule.id],
    ["tenant", schedule.tenant.slug],
    ["state", describeState(schedule)],
    ["rule", describeRule(schedule)],
    ["next run", formatInstant(schedule.next_run_at)],
    ["of", schedule.next_scheduled_for === schedule.next_run_at ? null : formatInstant(schedule.next_scheduled_for)],
    ["spread", schedule.spread],
    ["anchor", formatInstant(schedule.anchor_at)],
    ["starts at", formatInstant(schedule.starts_at)],
    ["ends at", formatInstant(schedule.ends_at)],
    ["calendars", schedule.calendars.map(({ name }) => name).join(", ")],
    [
      "clock changes",
      schedule.dst_gap === null ? null : `a slot they skip: ${schedule.dst_gap}; one they show twice: ${schedule.dst_overlap}`,
    ],
    [
      "late",
      `${schedule.misfire}; missed when later than ${schedule.grace_seconds === null ? "ever (no limit)" : formatSeconds(schedule.grace_seconds)}`,
    ],
    ["overlap", `${schedule.overlap}${schedule.overlap === "allow" ? `, at most ${schedule.max_instances} at once` : ""}`],
    ["on resume", schedule.on_resume],
    ["max runs", schedule.max_runs],
    ["max failures", schedule.max_failures === null ? null : `${schedule.max_failures} in a row`],
    ["calls", `${target.method} ${target.path === "" ? "" : `${target.path} `}on ${schedule.endpoint.name}`],
    ["input", Object.keys(schedule.input).length === 0 ? null : JSON.stringify(schedule.input)],
    ["runs", `${number(stats.succeeded)} succeeded, ${number(stats.failed)} failed`],
    [
      "last run",
      stats.last_run_at === null
        ? null
        : `${stats.last_state} at ${formatInstant(stats.last_run_at)}${stats.last_error === null ? "" : `: ${stats.last_error}`}`,
    ],
    ["failing", stats.consecutive_failures === 0 ? null : `the last ${count(stats.consecutive_failures, "run")}`],
    ["created", formatInstant(schedule.created_at)],
    ["changed", schedule.revision === 1 ? null : `${formatInstant(schedule.updated_at)}, revision ${schedule.revision}`],
  ];
  return facts
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name.padEnd(15)}${printable(String(value))}`);
}

function describeState(schedule: Schedule): string {
  const {
    state,
    paused_at: pausedAt,
    paused_until: until,
    pause_reason: reason,
    completed_at: completedAt,
    completed_reason: why,
  } = schedule;
  if (state === "paused")
    return `paused since ${formatInstant(pausedAt)}${until === null ? "" : ` until ${formatInstant(until)}`}${reason === null ? "" : `: ${reason}`}`;
  if (state === "completed") return `completed at ${formatInstant(completedAt)}${why === null ? "" : `: ${why}`}`;
  return state;
}

function number(amount: number): string {
  return amount.toLocaleString("en-US");
}
