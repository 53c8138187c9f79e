import { Command, Option } from "commander";
import type { Forecast } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { count } from "../describe-backfill.ts";
import { describeForecast } from "../describe-forecast.ts";
import { readCount } from "../read-count.ts";

interface ForecastOptions {
  days: number;
  endpoint?: string;
  nameContains?: string;
  slots?: number;
  callSeconds?: string;
  tenant?: string;
  allTenants?: boolean;
  json?: boolean;
}

export function forecastCommand(cli: Cli): Command {
  return new Command("forecast")
    .description("How many runs start in each minute to come, and who makes the peaks")
    .option("--days <count>", "how many days ahead, 1 to 14", readCount, 7)
    .option("--endpoint <endpoint>", "only schedules that call this endpoint: name or id")
    .option("--name-contains <text>", "only schedules whose name contains this text")
    .option("--slots <count>", "calls that can be under way at once: says how long the peaks take", readCount)
    .option("--call-seconds <seconds>", "with --slots: how long a call takes (default: 1)")
    .option("--tenant <slug>", "whose schedules, with an administrator's key")
    .addOption(new Option("--all-tenants", "those of all tenants, with an administrator's key").conflicts("tenant"))
    .option("--json", "print JSON")
    .action(async (options: ForecastOptions) => {
      const { tenant, allTenants, json } = options;
      const api = await connectApi(cli, allTenants ? { tenant: null } : tenant === undefined ? {} : { tenant });
      const forecast = await api.get<Forecast>("/api/v1/forecast", {
        days: options.days,
        endpoint: options.endpoint,
        name: options.nameContains,
        slots: options.slots,
        call_seconds: options.callSeconds,
      });
      if (json) return printJson(cli, forecast);
      for (const line of describeForecast(forecast)) cli.print(line);
      if (forecast.is_cut)
        cli.remark(`${count(forecast.left_out, "schedule")} left out: there is too much to evaluate, or a rule cannot be evaluated`);
    });
}
