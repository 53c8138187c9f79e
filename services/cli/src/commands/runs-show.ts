import { Command } from "commander";
import type { RunDetail } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { formatDuration, formatInstant } from "../format-instant.ts";
import { type Column, formatTable } from "../format-table.ts";
import { printable } from "../printable.ts";

export function runsShow(cli: Cli): Command {
  return new Command("show")
    .description("One run: its state, why, its attempts and its life")
    .argument("<run>", "id of the run, which is also the webhook-id of its calls")
    .option("--tenant <slug>", "whose run, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (id: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const run = await api.get<RunDetail>(`/api/v1/runs/${encodeURIComponent(id)}`);
      if (options.json) return printJson(cli, run);
      for (const line of describeRun(run)) cli.print(line);
    });
}

type Attempt = RunDetail["attempts"][number];
type TimelineEntry = RunDetail["timeline"][number];

const attemptColumns: Column<Attempt>[] = [
  { title: "attempt", value: (attempt) => attempt.attempt, align: "right" },
  { title: "outcome", value: (attempt) => attempt.outcome },
  { title: "code", value: (attempt) => attempt.code },
  { title: "http", value: (attempt) => attempt.http_status, align: "right" },
  { title: "started", value: (attempt) => formatInstant(attempt.started_at) },
  { title: "took", value: (attempt) => formatDuration(attempt.duration_ms), align: "right" },
  { title: "answer", value: (attempt) => attempt.response_excerpt?.slice(0, 80) },
];

const timelineColumns: Column<TimelineEntry>[] = [
  { title: "at", value: (entry) => formatInstant(entry.at) },
  { title: "event", value: (entry) => entry.event },
  { title: "detail", value: (entry) => entry.detail },
  { title: "actor", value: (entry) => entry.actor },
];

function describeRun(run: RunDetail): string[] {
  const facts: [string, string | number | null][] = [
    ["run", run.id],
    ["schedule", run.schedule.name],
    ["tenant", run.tenant.slug],
    ["scheduled for", `${formatInstant(run.scheduled_for)}${run.trigger === "manual" ? " (asked for)" : ""}`],
    ["state", run.state],
    ["reason", run.reason_text ?? run.reason],
    ["lag", formatDuration(run.lag_ms)],
    ["http status", run.http_status],
    ["missed", run.range_count === null ? null : `${run.range_count} occurrences from ${formatInstant(run.range_from)}`],
  ];
  return [
    ...facts.filter(([, value]) => value !== null && value !== "").map(([name, value]) => `${name.padEnd(15)}${printable(String(value))}`),
    ...(run.attempts.length === 0 ? [] : ["", ...formatTable(run.attempts, attemptColumns)]),
    ...(run.timeline.length === 0 ? [] : ["", ...formatTable(run.timeline, timelineColumns)]),
  ];
}
