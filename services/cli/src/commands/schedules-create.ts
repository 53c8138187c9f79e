import { Command } from "commander";
import type { ScheduleDryRun, WrittenSchedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeImpact, describeWarnings } from "../describe-schedule.ts";
import { wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";
import { addScheduleOptions, ruleOptions, type ScheduleOptions, toScheduleFields, toTargetFields } from "../schedule-options.ts";

interface CreateOptions extends ScheduleOptions {
  dryRun?: boolean;
  tenant?: string;
  json?: boolean;
}

export function schedulesCreate(cli: Cli): Command {
  const command = new Command("create")
    .description("Create a schedule: one of --cron, --every, --at and --frequency says when")
    .requiredOption("--name <name>", "unique within the tenant")
    .requiredOption("--endpoint <endpoint>", "whom to call: name or id of an endpoint of the tenant");
  return addScheduleOptions(command)
    .option("--dry-run", "print what it would mean, and create nothing")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: CreateOptions) => {
      const body = toRequest(options);
      const api = await connectApi(cli, options);
      const answer = await api.post<WrittenSchedule | ScheduleDryRun>(`/api/v1/schedules${options.dryRun ? "?dry_run=true" : ""}`, body);
      if (options.json) return printJson(cli, answer);
      if ("name" in answer) cli.print(`created ${printable(answer.name)} (${answer.id}); first run ${formatInstant(answer.next_run_at)}`);
      else cli.print(`would run first ${formatInstant(answer.impact.next_run_at)}: ${describeImpact(answer.impact)}; nothing was created`);
      for (const line of describeWarnings(answer.warnings)) cli.print(line);
    });
}

/** The request for the options. What they mean is for the API to judge; what cannot even be written down is wrong usage. */
export function toRequest(options: ScheduleOptions): Record<string, unknown> {
  const given = ruleOptions.filter((name) => name in options);
  if (given.length !== 1)
    throw wrongUsage(`say when: exactly one of --cron, --every, --at and --frequency${given.length === 0 ? "" : `, not ${given.length}`}`);
  const target = toTargetFields(options);
  return { ...toScheduleFields(options), ...(target === undefined ? {} : { target }) };
}
