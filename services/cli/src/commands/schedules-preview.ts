import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Command } from "commander";
import type { StoredPreview } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { Failure, wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { type Column, formatTable } from "../format-table.ts";
import { addRuleOptions, readPreviewCount, type RuleOptions, toQuery } from "../rule-options.ts";
import { runColumns } from "../run-columns.ts";

interface PreviewOptions extends RuleOptions {
  batch?: string;
  tenant?: string;
  json?: boolean;
}

export function schedulesPreview(cli: Cli): Command {
  const command = new Command("preview")
    .description("When a rule occurs next: one given here, which needs no server, or a stored schedule's")
    .argument("[schedule]", "name or id of a stored schedule; without it, one of --cron, --frequency, --interval and --at");
  return addRuleOptions(command)
    .option("--from <instant>", "the first instant that counts, with an offset (default: now)")
    .option("--count <count>", "how many occurrences", readPreviewCount, 10)
    .option(
      "--batch <file>",
      "answer many questions: a JSON object on each line with cron or interval_seconds, timezone, from, count, …; `-` reads standard input",
    )
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print a JSON array; with --batch, one on each line")
    .action(async (schedule: string | undefined, options: PreviewOptions) => {
      if (options.batch !== undefined) return previewBatch(cli, options.batch, options);
      if (schedule !== undefined) return previewStored(cli, schedule, options);
      await previewGiven(cli, options);
    });
}

async function previewGiven(cli: Cli, options: PreviewOptions): Promise<void> {
  const query = toQuery(options);
  if (["cron", "frequency", "interval_seconds", "run_at"].every((field) => !(field in query)))
    throw wrongUsage("say which rule: one of --cron, --frequency, --interval and --at, or the name of a stored schedule");
  const { answerPreview, previewJson } = await import("../preview-query.ts");
  const answer = answerPreview(query, Date.now());
  if (!answer.ok) throw new Failure(answer.problems.join("\n"));
  if (options.json) return printJson(cli, previewJson(answer.preview));
  for (const line of describe(answer.preview, answer.warnings())) cli.print(line);
}

/** One answer for each question, in order; a question that cannot be answered has its error on its line and stops nobody else. */
async function previewBatch(cli: Cli, file: string, { json }: PreviewOptions): Promise<void> {
  if (json !== true) throw wrongUsage("--batch needs --json: its answers are JSON, one on each line");
  const input = file === "-" ? process.stdin : createReadStream(file);
  const failed = new Promise<never>((_, reject) =>
    input.once("error", (error: Error) => reject(wrongUsage(`cannot read --batch ${file}: ${error.message}`))),
  );
  const { answerLine } = await import("../preview-query.ts");
  const nowAt = Date.now();
  const answerAll = async () => {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      if (line.trim() !== "") cli.print(answerLine(line, nowAt));
    }
  };
  await Promise.race([answerAll(), failed]);
}

async function previewStored(cli: Cli, schedule: string, options: PreviewOptions): Promise<void> {
  const given = Object.keys(toQuery(options)).filter((field) => !["from", "count"].includes(field));
  if (given.length > 0) throw wrongUsage(`a stored schedule has its own rule: leave out ${given.join(", ")}, or the schedule`);
  const api = await connectApi(cli, options);
  const answer = await api.get<StoredPreview>(`/api/v1/schedules/${encodeURIComponent(schedule)}/preview`, {
    from: options.from,
    count: options.count,
  });
  if (options.json) return printJson(cli, answer);
  const shown = {
    occurrences: answer.occurrences.map(shownOccurrence),
    holes: answer.holes.map((hole) => ({ ...hole, at: Date.parse(hole.at) })),
    isCut: answer.is_cut,
  };
  for (const line of describe(
    shown,
    answer.warnings.map(({ text }) => text),
  ))
    cli.print(line);
  if (answer.previous.length === 0) return;
  cli.print("");
  cli.print("before that");
  for (const line of formatTable(answer.previous, runColumns)) cli.print(`  ${line}`);
}

type Shown = { at: number; dueAt: number; local: string; dst: string | null; slot: string | null };

function shownOccurrence({ at, due_at: dueAt, ...rest }: StoredPreview["occurrences"][number]): Shown {
  return { at: Date.parse(at), dueAt: Date.parse(dueAt), ...rest };
}

const columns: Column<Shown>[] = [
  { title: "at (UTC)", value: ({ at }) => formatInstant(iso(at)) },
  { title: "local", value: ({ local }) => local },
  { title: "starts", value: ({ at, dueAt }) => (dueAt === at ? null : formatInstant(iso(dueAt))) },
  { title: "note", value: ({ dst, slot }) => notes[dst ?? ""]?.(slot ?? "") },
];

/** Columns that are left out where no line has anything in them. */
const optionalTitles = new Set(["starts", "note"]);

const notes: Readonly<Record<string, (slot: string) => string>> = {
  moved_out_of_gap: (slot) => `for ${slot.slice(11)}, which the clocks skip`,
  first_of_two: () => "the first of two showings",
  second_of_two: () => "the second of two showings",
};

function describe(
  preview: {
    occurrences: readonly Shown[];
    holes: readonly { at: number; local: string; reason: string; detail: string }[];
    isCut: boolean;
  },
  warnings: readonly string[],
): string[] {
  if (preview.occurrences.length === 0) return ["nothing to come: the rule has no further occurrence"];
  const holes = preview.holes.map(
    ({ at, reason, detail }) => `  ${formatInstant(iso(at))}  ${reason === "calendar" ? `left out by calendar ${detail}` : detail}`,
  );
  return [
    ...formatTable(
      preview.occurrences,
      columns.filter(
        ({ title, value }) => !optionalTitles.has(title) || preview.occurrences.some((occurrence) => value(occurrence) != null),
      ),
    ),
    ...(holes.length === 0 ? [] : ["", "left out between them", ...holes, ...(preview.isCut ? ["  and more"] : [])]),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map((text) => `clock change: ${text}`)]),
  ];
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
