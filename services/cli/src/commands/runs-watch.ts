import { systemClock } from "@downbeat/runtime/clock.ts";
import { every } from "@downbeat/runtime/every.ts";
import { Command } from "commander";
import { type Cli, connectApi } from "../cli.ts";
import { formatRow, formatTable } from "../format-table.ts";
import { runColumns } from "../run-columns.ts";
import { RunWatcher } from "../watch-runs.ts";

const lookIntervalMs = 1_000;
const firstRuns = 10;

interface RunsWatchOptions {
  schedule?: string;
  tenant?: string;
  json?: boolean;
}

export function runsWatch(cli: Cli): Command {
  return new Command("watch")
    .description("The latest runs, then each that is new or changes, until Ctrl+C")
    .option("--schedule <schedule>", "only runs of this schedule: name or id")
    .option("--tenant <slug>", "whose runs, with an administrator's key")
    .option("--json", "print one JSON object a line")
    .action(async ({ schedule, tenant, json }: RunsWatchOptions) => {
      const api = await connectApi(cli, tenant === undefined ? {} : { tenant });
      const stopping = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
      const watcher = new RunWatcher({
        api,
        query: { schedule },
        clock: systemClock,
        onRun: (run) => cli.print(json ? JSON.stringify(run) : formatRow(run, runColumns)),
        onRemark: (line) => cli.remark(line),
      });
      if (!json) for (const line of formatTable([], runColumns)) cli.print(line);
      await every(lookIntervalMs, () => watcher.look(firstRuns), { clock: systemClock, signal: stopping.signal });
    });
}
