import { Command, Option } from "commander";
import type { Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";

interface CreateOptions {
  name: string;
  cron?: string;
  every?: string;
  at?: string;
  timezone?: string;
  endpoint: string;
  path?: string;
  method?: string;
  input?: string;
  tenant?: string;
  json?: boolean;
}

export function schedulesCreate(cli: Cli): Command {
  return new Command("create")
    .description("Create a schedule: one of --cron, --every and --at says when")
    .requiredOption("--name <name>", "unique within the tenant")
    .option("--cron <expression>", "5 fields, or 6 with seconds first: '*/5 * * * *'")
    .option("--every <duration>", "seconds, or with a unit: 30s, 5m, 2h, 1d")
    .option("--at <instant>", "once, with an offset: 2026-03-08T09:00:00-05:00")
    .option("--timezone <zone>", "IANA name in which the cron expression is read (default: UTC)")
    .requiredOption("--endpoint <endpoint>", "whom to call: name or id of an endpoint of the tenant")
    .option("--path <path>", "appended to the endpoint's base URL")
    .addOption(new Option("--method <method>", "default: POST").choices(["POST", "PUT", "PATCH", "GET"]))
    .option("--input <json>", "JSON object handed to the target with every run")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: CreateOptions) => {
      const body = toRequest(options);
      const api = await connectApi(cli, options);
      const schedule = await api.post<Schedule>("/api/v1/schedules", body);
      if (options.json) return printJson(cli, schedule);
      cli.print(`created ${schedule.name} (${schedule.id}); first run ${formatInstant(schedule.next_run_at)}`);
    });
}

/** The request for the options. What they mean is for the API to judge; what cannot even be written down is wrong usage. */
export function toRequest(options: CreateOptions): Record<string, unknown> {
  const rules = ["cron", "every", "at"].filter((name) => name in options);
  if (rules.length !== 1)
    throw wrongUsage(`say when: exactly one of --cron, --every and --at${rules.length === 0 ? "" : `, not ${rules.length}`}`);
  const { name, cron, every, at, timezone, endpoint, path, method, input } = options;
  const target = { ...(path === undefined ? {} : { path }), ...(method === undefined ? {} : { method }) };
  return {
    name,
    ...(cron === undefined ? {} : { cron_expression: cron }),
    ...(every === undefined ? {} : { interval_seconds: readSeconds(every) }),
    ...(at === undefined ? {} : { run_at: at }),
    ...(timezone === undefined ? {} : { timezone }),
    endpoint,
    ...(Object.keys(target).length === 0 ? {} : { target }),
    ...(input === undefined ? {} : { input: readInput(input) }),
  };
}

const secondsOfUnit = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

function readSeconds(text: string): number {
  const [, amount, unit = "s"] = /^(-?\d+(?:\.\d+)?)([smhd])?$/.exec(text.trim()) ?? [];
  if (amount === undefined) throw wrongUsage(`--every takes seconds, or a number with s, m, h or d, like 90, 30s or 5m; got "${text}"`);
  return Number(amount) * secondsOfUnit[unit as keyof typeof secondsOfUnit];
}

function readInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrongUsage(`--input is not JSON: ${(error as Error).message}`);
  }
}
