import { runStates } from "@downbeat/store/run-states.ts";
import { Command, Option } from "commander";
import type { Run } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { formatTable } from "../format-table.ts";
import { listAll } from "../list-all.ts";
import { readCount } from "../read-count.ts";
import { runColumns } from "../run-columns.ts";

interface RunsListOptions {
  schedule?: string;
  state?: string;
  upcoming?: boolean;
  limit: number;
  tenant?: string;
  json?: boolean;
}

export function runsList(cli: Cli): Command {
  return new Command("list")
    .description("Runs, newest first: what ran, what did not, and why")
    .option("--schedule <schedule>", "only runs of this schedule: name or id")
    .addOption(new Option("--state <state>", "only runs in this state").choices(runStates))
    .option("--upcoming", "also those claimed ahead of their time")
    .option("--limit <count>", "how many at most", readCount, 20)
    .option("--tenant <slug>", "whose runs, with an administrator's key")
    .option("--json", "print JSON")
    .action(async ({ schedule, state, upcoming, limit, tenant, json }: RunsListOptions) => {
      const api = await connectApi(cli, tenant === undefined ? {} : { tenant });
      const runs = await listAll<Run>(
        api,
        "/api/v1/runs",
        { schedule, state, until: upcoming ? undefined : new Date().toISOString() },
        limit,
      );
      if (json) return printJson(cli, { items: runs });
      if (runs.length === 0) {
        const isFiltered = schedule !== undefined || state !== undefined;
        return cli.print(isFiltered ? "no such runs" : "no runs yet; next: downbeat schedules list, then downbeat schedules run <name>");
      }
      for (const line of formatTable(runs, runColumns)) cli.print(line);
    });
}
