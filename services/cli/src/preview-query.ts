import { dstWarnings } from "@downbeat/timing/dst-warnings.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import type { Timing } from "@downbeat/timing/plan-due.ts";
import { preview, type Preview } from "@downbeat/timing/preview.ts";
import { quote } from "@downbeat/timing/quote.ts";
import type { RuleInput } from "@downbeat/timing/rule-input.ts";
import { validateRule } from "@downbeat/timing/validate-rule.ts";
import { previewCountMax } from "./rule-options.ts";

/** A question about a rule that no server has to be asked: the fields of a schedule, from when on, and how many. */
export interface PreviewQuery extends RuleInput {
  /** Another name of `cron_expression`. */
  readonly cron?: unknown;
  /** RFC 3339 with an offset. The first instant that counts, and the default anchor of an interval. Default: now. */
  readonly from?: unknown;
  readonly count?: unknown;
}

export type PreviewAnswer = { ok: true; timing: Timing; preview: Preview; warnings(): string[] } | { ok: false; problems: string[] };

const queryFields = new Set([
  "kind",
  "cron",
  "cron_expression",
  "frequency",
  "timezone",
  "dst_gap",
  "dst_overlap",
  "interval_seconds",
  "anchor_at",
  "run_at",
  "starts_at",
  "ends_at",
  "from",
  "count",
]);

/** Answers a query by the timing library alone, with `nowAt` (ms since 1970) as the default of `from`. */
export function answerPreview(query: PreviewQuery, nowAt: number): PreviewAnswer {
  const problems = Object.keys(query).flatMap((field) =>
    queryFields.has(field) ? [] : [`${field} is not a field of a query; known are ${[...queryFields].join(", ")}`],
  );
  const { cron, from, count = 10, ...input } = query;
  const fromAt = from === undefined || from === null ? nowAt : typeof from === "string" ? parseInstant(from) : null;
  if (fromAt === null) problems.push(`from is ${quote(from)}; it must be a date and time with an offset, like "2026-03-08T09:00:00Z"`);
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > previewCountMax)
    problems.push(`count is ${quote(count)}; it must be a whole number from 1 to ${previewCountMax}`);
  const rule = { ...input, ...((cron ?? undefined) === undefined ? {} : { cron_expression: cron }) };
  const kind = rule.kind ?? inferKind(rule);
  if (kind === undefined) problems.push("kind is missing, and nothing says which it is: give cron, frequency, interval_seconds or run_at");
  if (fromAt === null || kind === undefined || problems.length > 0) return { ok: false, problems };
  const anchor = kind === "interval" && (rule.anchor_at ?? undefined) === undefined ? { anchor_at: new Date(fromAt).toISOString() } : {};
  const validation = validateRule({ ...rule, ...anchor, kind }, { nowAt: fromAt - 1 });
  if (!validation.ok)
    return {
      ok: false,
      problems: validation.problems.map(
        ({ field, message }) => `${field === "cron_expression" && cron !== undefined ? "cron" : field} ${message}`,
      ),
    };
  const timing: Timing = { rule: validation.rule, scheduleId: "", spread: null, misfire: "latest", graceMs: null };
  return {
    ok: true,
    timing,
    preview: preview(timing, fromAt - 1, Number(count)),
    // Looking for clock changes costs more than all the rest, and a batch does not show them.
    warnings: () => dstWarnings(validation.rule, fromAt).map(({ text }) => text),
  };
}

function inferKind(rule: RuleInput): string | undefined {
  const deciding = { cron_expression: "cron", frequency: "cron", interval_seconds: "interval", run_at: "once" } as const;
  return Object.entries(deciding).find(([field]) => (rule[field as keyof typeof deciding] ?? undefined) !== undefined)?.[1];
}

/** The occurrences as JSON has them. */
export function previewJson({ occurrences }: Preview): Record<string, unknown>[] {
  return occurrences.map(({ at, local, dst, slot }) => ({
    at: new Date(at).toISOString(),
    local,
    ...(dst === null ? {} : { dst }),
    ...(slot === null ? {} : { slot }),
  }));
}

/** Answers one line of a batch: a JSON array of occurrences, or an object with `error`. */
export function answerLine(line: string, nowAt: number): string {
  let query: unknown;
  try {
    query = JSON.parse(line);
  } catch (error) {
    return JSON.stringify({ error: `the line is not JSON: ${(error as Error).message}` });
  }
  if (typeof query !== "object" || query === null || Array.isArray(query))
    return JSON.stringify({ error: "the line is not a JSON object" });
  const answer = answerPreview(query as PreviewQuery, nowAt);
  return JSON.stringify(answer.ok ? previewJson(answer.preview) : { error: answer.problems.join(". ") });
}
