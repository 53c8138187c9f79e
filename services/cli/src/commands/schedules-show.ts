import { Command } from "commander";
import type { Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeSchedule } from "../describe-schedule.ts";
import { schedulePath } from "../schedule-options.ts";

export function schedulesShow(cli: Cli): Command {
  return new Command("show")
    .description("One schedule: its rule, its policies, and how its runs went")
    .argument("<schedule>", "name or id")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (name: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const schedule = await api.get<Schedule>(schedulePath(name));
      if (options.json) return printJson(cli, schedule);
      for (const line of describeSchedule(schedule)) cli.print(line);
    });
}
