import { Command } from "commander";
import type { RunDetail } from "../api-answers.ts";
import { attemptColumns } from "../attempt-columns.ts";
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

type TimelineEntry = RunDetail["timeline"][number];

const timelineColumns: Column<TimelineEntry>[] = [
  { title: "at", value: (entry) => formatInstant(entry.at) },
  { title: "event", value: (entry) => entry.event },
  { title: "detail", value: (entry) => entry.detail },
  { title: "actor", value: (entry) => entry.actor },
];

/** What the run in `blocked_by` did to this one, by this one's state. */
const blockedLabels: Partial<Record<RunDetail["state"], string>> = {
  pending: "waits behind",
  skipped: "held by",
  canceled: "replaced by",
};

function describeStretch({ range_count: count, range_from: from, scheduled_for: to }: RunDetail): string {
  return `${count} occurrences from ${formatInstant(from)} to ${formatInstant(to)}`;
}

/** A run for people: what it is, its attempts and its life. */
export function describeRun(run: RunDetail): string[] {
  const facts: [string, string | number | null][] = [
    ["run", run.id],
    ["schedule", run.schedule.name],
    ["tenant", run.tenant.slug],
    [
      "scheduled for",
      `${formatInstant(run.scheduled_for)}${{ schedule: "", manual: " (asked for)", backfill: " (backfilled)" }[run.trigger]}`,
    ],
    ["spread", run.spread_ms === null ? null : `starts ${formatDuration(run.spread_ms)} later`],
    ["state", run.state],
    ["reason", run.reason_text ?? run.reason],
    [blockedLabels[run.state] ?? "waited behind", run.blocked_by],
    ["lag", formatDuration(run.lag_ms)],
    ["http status", run.http_status],
    [`all ${run.state}`, run.range_count === null || run.range_count === 1 ? null : describeStretch(run)],
  ];
  return [
    ...facts.filter(([, value]) => value !== null && value !== "").map(([name, value]) => `${name.padEnd(15)}${printable(String(value))}`),
    ...(run.attempts.length === 0 ? [] : ["", ...formatTable(run.attempts, attemptColumns)]),
    ...(run.timeline.length === 0 ? [] : ["", ...formatTable(run.timeline, timelineColumns)]),
  ];
}
