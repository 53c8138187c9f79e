import { Command, InvalidArgumentError } from "commander";
import type { Tenant } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { tenantPath } from "../describe-tenant.ts";
import { wrongUsage } from "../failure.ts";
import { describeTenant } from "./tenants-show.ts";

/** `default` takes a limit back: a null here would be lost on the way, because commander takes it for an option without a value. */
type Limit = number | "default";

interface UpdateOptions {
  name?: string;
  intervalMin?: Limit;
  schedulesMax?: Limit;
  runsPerDayMax?: Limit;
  json?: boolean;
}

export function tenantsUpdate(cli: Cli): Command {
  return new Command("update")
    .description("Change a tenant's name and limits, with an administrator's key; `default` takes a limit back")
    .argument("<tenant>", "slug or id")
    .option("--name <name>", "name for people")
    .option("--interval-min <seconds>", "shortest time between two occurrences that its keys may ask for", readLimit)
    .option("--schedules-max <count>", "how many schedules it may have", readLimit)
    .option("--runs-per-day-max <count>", "how many runs it may have in a day (UTC)", readLimit)
    .option("--json", "print JSON")
    .action(async (tenant: string, options: UpdateOptions) => {
      const body = toTenantChanges(options);
      const api = await connectApi(cli, { tenant: null });
      const changed = await api.patch<Tenant>(tenantPath(tenant), body);
      if (options.json) return printJson(cli, changed);
      for (const line of describeTenant(changed, new Date())) cli.print(line);
    });
}

export function toTenantChanges({ name, intervalMin, schedulesMax, runsPerDayMax }: UpdateOptions): Record<string, unknown> {
  const limits = {
    ...(intervalMin === undefined ? {} : { interval_seconds_min: toField(intervalMin) }),
    ...(schedulesMax === undefined ? {} : { schedules_max: toField(schedulesMax) }),
    ...(runsPerDayMax === undefined ? {} : { runs_per_day_max: toField(runsPerDayMax) }),
  };
  const hasLimits = Object.keys(limits).length > 0;
  if (name === undefined && !hasLimits)
    throw wrongUsage("say what to change: at least one of --name, --interval-min, --schedules-max and --runs-per-day-max");
  return { ...(name === undefined ? {} : { name }), ...(hasLimits ? { limits } : {}) };
}

function toField(limit: Limit): number | null {
  return limit === "default" ? null : limit;
}

function readLimit(text: string): Limit {
  if (text === "default") return text;
  const limit = Number(text);
  if (text.trim() === "" || !Number.isInteger(limit)) throw new InvalidArgumentError("It must be a whole number, or default.");
  return limit;
}
