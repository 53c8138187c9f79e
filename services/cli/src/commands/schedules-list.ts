import { Command } from "commander";
import type { Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeRule } from "../describe-schedule.ts";
import { type Column, formatTable } from "../format-table.ts";
import { formatInstant } from "../format-instant.ts";
import { listAll } from "../list-all.ts";

export function schedulesList(cli: Cli): Command {
  return new Command("list")
    .description("Schedules of the tenant, with their next occurrence")
    .option("--tenant <slug>", "whose schedules, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const schedules = await listAll<Schedule>(api, "/api/v1/schedules");
      if (options.json) return printJson(cli, { items: schedules });
      if (schedules.length === 0) {
        return cli.print(
          'no schedules yet; next: downbeat schedules create --name hello --every 30s --endpoint <name> (see "schedules create --help")',
        );
      }
      for (const line of describeList(schedules)) cli.print(line);
    });
}

/** Where no schedule is spread, there is no column for it. */
export function describeList(schedules: readonly Schedule[]): string[] {
  const isSpread = schedules.some(({ spread }) => spread !== null);
  return formatTable(
    schedules,
    columns.filter(({ title }) => title !== "spread" || isSpread),
  );
}

const columns: Column<Schedule>[] = [
  { title: "name", value: (schedule) => schedule.name },
  { title: "state", value: (schedule) => schedule.state },
  { title: "rule", value: describeRule },
  { title: "spread", value: (schedule) => schedule.spread },
  { title: "endpoint", value: (schedule) => schedule.endpoint.name },
  { title: "next run", value: (schedule) => formatInstant(schedule.next_run_at) },
  { title: "succeeded", value: (schedule) => schedule.stats.succeeded, align: "right" },
  { title: "failed", value: (schedule) => schedule.stats.failed, align: "right" },
];
