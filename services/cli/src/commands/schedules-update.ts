import { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import type { Schedule, ScheduleDryRun, UpdatedSchedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeImpact, describeWarnings } from "../describe-schedule.ts";
import { wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";
import {
  addScheduleOptions,
  ruleOptions,
  schedulePath,
  type ScheduleOptions,
  toScheduleFields,
  toTargetFields,
} from "../schedule-options.ts";

interface UpdateOptions extends ScheduleOptions {
  dryRun?: boolean;
  confirm?: boolean;
  tenant?: string;
  json?: boolean;
}

export function schedulesUpdate(cli: Cli): Command {
  const command = new Command("update")
    .description("Change a schedule; what is due already runs as it was")
    .argument("<schedule>", "name or id")
    .option("--name <name>", "its new name")
    .option("--endpoint <endpoint>", "whom to call: name or id of an endpoint of the tenant");
  return addScheduleOptions(command)
    .option("--dry-run", "print what it would mean, and change nothing")
    .option("--confirm", "it is meant to run ten times as often, or more")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (schedule: string, options: UpdateOptions) => {
      const changes = toChanges(options);
      const api = await connectApi(cli, options);
      const body = { ...changes, ...(await targetOf(api, schedule, options)), ...(options.confirm ? { confirm: true } : {}) };
      const query = options.dryRun ? { dry_run: "true" } : {};
      const answer = await api.patch<UpdatedSchedule | ScheduleDryRun>(schedulePath(schedule), body, query);
      if (options.json) return printJson(cli, answer);
      for (const line of describeUpdate(answer)) cli.print(line);
    });
}

/** The changes that the options ask for, but for the target's. */
export function toChanges(options: ScheduleOptions): Record<string, unknown> {
  const given = ruleOptions.filter((name) => name in options);
  if (given.length > 1) throw wrongUsage(`say when: one of ${given.map((name) => `--${name}`).join(" and ")}, not ${given.length}`);
  const fields = toScheduleFields(options);
  if (Object.keys(fields).length === 0 && toTargetFields(options) === undefined)
    throw wrongUsage("say what to change, like --cron, --spread or --endpoint (see downbeat schedules update --help)");
  return fields;
}

/** A target is changed as a whole; what no option speaks of stays as it is. */
async function targetOf(api: ApiClient, schedule: string, options: ScheduleOptions): Promise<{ target?: object }> {
  const given = toTargetFields(options);
  if (given === undefined) return {};
  const { target } = await api.get<Schedule>(schedulePath(schedule));
  return { target: { ...target, ...given } };
}

export function describeUpdate(answer: UpdatedSchedule | ScheduleDryRun): string[] {
  const { impact, warnings } = answer;
  const what =
    "name" in answer
      ? `changed ${printable(answer.name)} (${answer.id}); ${answer.next_run_at === null ? `it is ${answer.state}` : `next run ${formatInstant(answer.next_run_at)}`}`
      : `would run next ${impact.next_run_at === null ? "never" : formatInstant(impact.next_run_at)}; nothing was changed`;
  return [what, `impact: ${describeImpact(impact)}`, ...describeWarnings(warnings)];
}
