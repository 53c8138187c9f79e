import type { Backfill, BackfillPlan } from "./api-answers.ts";
import { formatDuration, formatInstant } from "./format-instant.ts";
import type { Column } from "./format-table.ts";
import { printable } from "./printable.ts";

/** What a backfill would run, in lines. */
export function describePlan(plan: BackfillPlan): string[] {
  const { from, to, concurrency, occurrences, left_out: leftOut, planned, first, last, estimate } = plan;
  const stretch = `after ${formatInstant(from)} up to ${formatInstant(to)}`;
  const left = [
    ...(leftOut.succeeded === 0 ? [] : [`${number(leftOut.succeeded)} succeeded already`]),
    ...(leftOut.under_way === 0 ? [] : [`${number(leftOut.under_way)} under way`]),
  ];
  if (planned === 0) return [`nothing to run ${stretch}: ${left.length === 0 ? "the rule has no occurrence there" : left.join(", ")}`];
  const skipped = number(planned - first.length - last.length);
  const known =
    estimate.mean_run_ms === null
      ? "a guess: no run of it is known"
      : `its newest runs took ${formatDuration(estimate.mean_run_ms)} on average`;
  return [
    `${count(planned, "occurrence")} to run ${stretch}, ${concurrency === 1 ? "one after the other" : `${concurrency} at a time`}`,
    ...(left.length === 0 ? [] : [`left out of ${number(occurrences)}: ${left.join(", ")}`]),
    ...first.map((instant) => `  ${formatInstant(instant)}`),
    ...(skipped === "0" ? [] : [`  … ${skipped} more …`]),
    ...last.map((instant) => `  ${formatInstant(instant)}`),
    `takes about ${formatDuration(estimate.seconds * 1_000)}, ${estimate.runs_per_minute} runs a minute (${known})`,
  ];
}

/** How far a backfill is, in one line. */
export function describeProgress(backfill: Backfill): string {
  const { state, planned, running, succeeded, failed, canceled } = backfill;
  const parts = [
    `${number(succeeded + failed + canceled)} of ${number(planned)} done`,
    ...(failed === 0 ? [] : [`${number(failed)} failed`]),
    ...(canceled === 0 ? [] : [`${number(canceled)} canceled`]),
    ...(running === 0 ? [] : [`${running} running`]),
  ];
  return `${state}: ${parts.join(", ")}`;
}

/** One backfill, in lines. */
export function describeBackfill(backfill: Backfill): string[] {
  const facts: [string, string | number | null][] = [
    ["backfill", backfill.id],
    ["schedule", backfill.schedule.name],
    ["tenant", backfill.tenant.slug],
    ["stretch", `after ${formatInstant(backfill.from)} up to ${formatInstant(backfill.to)}`],
    ["progress", describeProgress(backfill)],
    ["concurrency", backfill.concurrency],
    ["next", formatInstant(backfill.next_at)],
    ["asked for", `${formatInstant(backfill.created_at)} by ${backfill.created_by}`],
    ["finished", formatInstant(backfill.finished_at)],
  ];
  return facts
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name.padEnd(15)}${printable(String(value))}`);
}

export const backfillColumns: readonly Column<Backfill>[] = [
  { title: "backfill", value: (backfill) => backfill.id },
  { title: "after", value: (backfill) => formatInstant(backfill.from) },
  { title: "up to", value: (backfill) => formatInstant(backfill.to) },
  { title: "state", value: (backfill) => backfill.state },
  { title: "planned", value: (backfill) => backfill.planned, align: "right" },
  { title: "running", value: (backfill) => backfill.running, align: "right" },
  { title: "succeeded", value: (backfill) => backfill.succeeded, align: "right" },
  { title: "failed", value: (backfill) => backfill.failed, align: "right" },
];

export function count(amount: number, noun: string): string {
  return `${number(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

function number(amount: number): string {
  return amount.toLocaleString("en-US");
}
