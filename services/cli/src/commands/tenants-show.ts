import { Command } from "commander";
import type { Tenant } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeMaintenance, tenantPath } from "../describe-tenant.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";

export function tenantsShow(cli: Cli): Command {
  return new Command("show")
    .description("One tenant: its limits and its maintenance")
    .argument("<tenant>", "slug or id")
    .option("--json", "print JSON")
    .action(async (tenant: string, options: { json?: boolean }) => {
      const api = await connectApi(cli, { tenant: null });
      const found = await api.get<Tenant>(tenantPath(tenant));
      if (options.json) return printJson(cli, found);
      for (const line of describeTenant(found, new Date())) cli.print(line);
    });
}

export function describeTenant(tenant: Tenant, now: Date): string[] {
  const { limits, maintenance } = tenant;
  const facts: [string, string | number][] = [
    ["tenant", tenant.slug],
    ["name", tenant.name],
    ["id", tenant.id],
    ["created", formatInstant(tenant.created_at)],
    [
      "shortest time",
      limits.interval_seconds_min === null ? "the installation's default" : `${limits.interval_seconds_min} s between two occurrences`,
    ],
    ["schedules", limits.schedules_max === null ? "no limit" : `at most ${limits.schedules_max}`],
    ["runs a day", limits.runs_per_day_max === null ? "no limit" : `at most ${limits.runs_per_day_max}`],
    ["maintenance", describeMaintenance(tenant, now) || "off"],
    ...(maintenance?.reason ? ([["", maintenance.reason]] as [string, string][]) : []),
  ];
  return facts.map(([title, value]) => `${title.padEnd(15)}${printable(String(value))}`);
}
