import { Command } from "commander";
import type { Run } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";

export function schedulesRun(cli: Cli): Command {
  return new Command("run")
    .description("Run a schedule once, now, outside of its rule")
    .argument("<schedule>", "name or id")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (schedule: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const run = await api.post<Run>(`/api/v1/schedules/${encodeURIComponent(schedule)}/run`);
      if (options.json) return printJson(cli, run);
      cli.print(`run ${run.id} is ${run.state}; next: downbeat runs show ${run.id}`);
    });
}
