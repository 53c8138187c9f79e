import { Command } from "commander";
import type { Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
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
      for (const line of formatTable(schedules, columns)) cli.print(line);
    });
}

const columns: Column<Schedule>[] = [
  { title: "name", value: (schedule) => schedule.name },
  { title: "state", value: (schedule) => schedule.state },
  { title: "rule", value: describeRule },
  { title: "endpoint", value: (schedule) => schedule.endpoint.name },
  { title: "next run", value: (schedule) => formatInstant(schedule.next_run_at) },
  { title: "succeeded", value: (schedule) => schedule.stats.succeeded, align: "right" },
  { title: "failed", value: (schedule) => schedule.stats.failed, align: "right" },
];

function describeRule(schedule: Schedule): string {
  if (schedule.cron_expression !== null) return `${schedule.cron_expression} ${schedule.timezone ?? ""}`.trim();
  if (schedule.interval_seconds !== null) return `every ${schedule.interval_seconds} s`;
  return `once at ${formatInstant(schedule.run_at)}`;
}
