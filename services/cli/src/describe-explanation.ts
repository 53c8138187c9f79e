import type { Explanation } from "./api-answers.ts";
import { attemptColumns } from "./attempt-columns.ts";
import { formatInstant } from "./format-instant.ts";
import { formatTable } from "./format-table.ts";
import { printable } from "./printable.ts";
import { runColumns } from "./run-columns.ts";
import { wrapText } from "./wrap-text.ts";

const widthMax = 110;
const labelWidth = 11;
const stepWidth = "ok  maintenance ".length;

/** Why something ran or did not run, on one page: what became of it, the decision step by step, its attempts, and what happened before and after. */
export function describeExplanation(explanation: Explanation): string[] {
  const { headline, steps, run, previous, next, other_runs: others } = explanation;
  const attempts = run?.attempts ?? [];
  return [
    ...wrapText(printable(headline), widthMax),
    "",
    ...factsOf(explanation).flatMap(([label, value]) => labeled(label, value)),
    "",
    ...steps.flatMap(({ step, passed, text }) => labeled(`${passed ? "ok" : "no"}  ${step}`, text, stepWidth)),
    ...(attempts.length === 0 ? [] : ["", ...formatTable(attempts, attemptColumns)]),
    ...(previous === null && next === null ? [] : [""]),
    ...neighbour("before", previous),
    ...neighbour("after", next),
    ...(others.length === 0
      ? []
      : ["", "in the same minute, beside the rule", ...formatTable(others, runColumns).map((line) => `  ${line}`)]),
  ];
}

function factsOf({ schedule, at, asked, local, timezone, outcome, run }: Explanation): [string, string][] {
  const asAsked = asked === null ? " (the last occurrence)" : /z$|[+-]\d\d:\d\d$/i.test(asked) ? "" : ` (asked for as ${asked})`;
  const isStateTold = run !== null && (outcome === "fired" || outcome === "queued") && run.state !== outcome;
  return [
    ["schedule", schedule.name],
    ["instant", `${formatInstant(at)}${asAsked}`],
    ["local", `${local.replace("T", " ")} ${timezone}`],
    ["outcome", isStateTold ? `${outcome} (${run.state})` : outcome],
    ...(run === null ? [] : [["run", run.id] as [string, string]]),
  ];
}

function neighbour(label: string, explained: Explanation["previous"]): string[] {
  return explained === null ? [] : labeled(label, `${explained.outcome}: ${explained.headline}`);
}

/** A label and its text, which goes on under itself. */
function labeled(label: string, text: string, width = labelWidth): string[] {
  return wrapText(printable(text), widthMax - width).map((line, index) => `${(index === 0 ? label : "").padEnd(width)}${line}`);
}
