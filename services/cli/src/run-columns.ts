import type { Run } from "./api-answers.ts";
import { formatDuration, formatInstant } from "./format-instant.ts";
import type { Column } from "./format-table.ts";

/** The columns in which runs are shown, in a list and while they are watched. */
export const runColumns: readonly Column<Run>[] = [
  { title: "scheduled for", value: (run) => formatInstant(run.scheduled_for), minWidth: "2026-03-08 09:00:00.250Z".length },
  { title: "schedule", value: (run) => run.schedule.name, minWidth: 20 },
  { title: "state", value: (run) => run.state, minWidth: "succeeded".length },
  { title: "attempt", value: (run) => run.attempt, align: "right" },
  { title: "lag", value: (run) => formatDuration(run.lag_ms), align: "right", minWidth: 7 },
  { title: "http", value: (run) => run.http_status, align: "right" },
  { title: "reason", value: describeReason },
];

function describeReason(run: Run): string | null {
  if (run.range_count !== null) return `${run.reason ?? run.state}: ${run.range_count} occurrences from ${formatInstant(run.range_from)}`;
  return run.reason ?? (run.trigger === "manual" ? "(asked for)" : null);
}
