import { Command } from "commander";
import type { Explanation } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeExplanation } from "../describe-explanation.ts";

interface ExplainOptions {
  at?: string;
  tenant?: string;
  json?: boolean;
}

const description = "Why a schedule ran or did not run at one instant, step by step";
const scheduleArgument = "name or id; a deleted one by its id";
const instant = "with an offset, or a local time of the schedule's zone like 2026-03-08T02:30 (default: the last occurrence)";

export function schedulesExplain(cli: Cli): Command {
  return withOptions(new Command("explain").description(description).argument("<schedule>", scheduleArgument))
    .option("--at <instant>", `the instant, ${instant}`)
    .action((schedule: string, options: ExplainOptions) => explain(cli, schedule, options));
}

/** The same, for those in a hurry: `downbeat explain nightly 2026-03-08T02:30`. */
export function explainCommand(cli: Cli): Command {
  return withOptions(
    new Command("explain").description(description).argument("<schedule>", scheduleArgument).argument("[at]", `the instant, ${instant}`),
  ).action((schedule: string, at: string | undefined, options: ExplainOptions) =>
    explain(cli, schedule, { ...options, ...(at === undefined ? {} : { at }) }),
  );
}

function withOptions(command: Command): Command {
  return command.option("--tenant <slug>", "whose schedule, with an administrator's key").option("--json", "print JSON");
}

async function explain(cli: Cli, schedule: string, { at, json, ...options }: ExplainOptions): Promise<void> {
  const api = await connectApi(cli, options);
  const explanation = await api.get<Explanation>(`/api/v1/schedules/${encodeURIComponent(schedule)}/explain`, { at });
  if (json) return printJson(cli, explanation);
  for (const line of describeExplanation(explanation)) cli.print(line);
}
