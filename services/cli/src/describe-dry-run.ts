import type { DryRun } from "@downbeat/dispatcher/dry-run.ts";
import { formatInstant } from "./format-instant.ts";
import { type Column, formatTable } from "./format-table.ts";

const iso = (atMs: number): string => new Date(atMs).toISOString();
const instant = (atMs: number): string => formatInstant(iso(atMs));

const tenant = { title: "tenant", value: (row: { tenant: string }) => row.tenant };
const schedule = { title: "schedule", value: (row: { schedule: string }) => row.schedule };

const runs: Column<DryRun["runs"][number]>[] = [
  { title: "scheduled for", value: (row) => instant(row.scheduledFor) },
  tenant,
  schedule,
  { title: "run", value: (row) => row.runId },
];

const missed: Column<DryRun["missed"][number]>[] = [
  { title: "from", value: (row) => instant(row.from) },
  { title: "to", value: (row) => instant(row.to) },
  { title: "occurrences", value: (row) => row.count, align: "right" },
  tenant,
  schedule,
];

const overdue: Column<DryRun["overdue"][number]>[] = [
  { title: "run", value: (row) => row.runId },
  tenant,
  { title: "found", value: (row) => row.found },
  { title: "then", value: (row) => (row.isSendable ? "send" : "give up") },
];

const broken: Column<DryRun["broken"][number]>[] = [tenant, schedule, { title: "error", value: (row) => row.error }];

/** What a pass would do, for people. */
export function describeDryRun(plan: DryRun, horizonSeconds: number): string[] {
  const parts = [
    ...section("would send", plan.runs, runs),
    ...section("would record as missed", plan.missed, missed),
    ...section("would take up, because nobody else did", plan.overdue, overdue),
    ...section("could not evaluate", plan.broken, broken),
  ];
  const until = instant(plan.nowAt + horizonSeconds * 1_000);
  return [
    ...(parts.length === 0 ? [`nothing is due before ${until}`] : parts),
    ...(plan.isCut ? ["more is due than is shown"] : []),
    `nothing was written; the database's clock says ${instant(plan.nowAt)}, a pass looks ${horizonSeconds} s ahead`,
  ];
}

/** The same with the names and instants of the API's answers. */
export function dryRunJson(plan: DryRun): Record<string, unknown> {
  return {
    now: iso(plan.nowAt),
    runs: plan.runs.map(({ runId, scheduledFor, ...names }) => ({ ...names, run: runId, scheduled_for: iso(scheduledFor) })),
    missed: plan.missed.map(({ from, to, ...rest }) => ({ ...rest, range_from: iso(from), scheduled_for: iso(to) })),
    overdue: plan.overdue.map(({ runId, isSendable, ...rest }) => ({ ...rest, run: runId, sendable: isSendable })),
    broken: plan.broken,
    cut: plan.isCut,
  };
}

function section<Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  return rows.length === 0 ? [] : [`${title} (${rows.length})`, ...formatTable(rows, columns).map((line) => `  ${line}`), ""];
}
