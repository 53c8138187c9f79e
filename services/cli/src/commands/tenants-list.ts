import { Command } from "commander";
import type { Tenant } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeMaintenance } from "../describe-tenant.ts";
import { type Column, formatTable } from "../format-table.ts";
import { listAll } from "../list-all.ts";

export function tenantsList(cli: Cli): Command {
  return new Command("list")
    .description("Tenants with their limits and maintenance; a tenant's key sees its own")
    .option("--json", "print JSON")
    .action(async (options: { json?: boolean }) => {
      const api = await connectApi(cli, { tenant: null });
      const tenants = await listAll<Tenant>(api, "/api/v1/tenants");
      if (options.json) return printJson(cli, { items: tenants });
      if (tenants.length === 0) return cli.print("no tenants yet; next: downbeat tenants create <slug>");
      for (const line of formatTable(tenants, columns(new Date()))) cli.print(line);
    });
}

const columns = (now: Date): Column<Tenant>[] => [
  { title: "slug", value: (tenant) => tenant.slug },
  { title: "name", value: (tenant) => tenant.name },
  { title: "interval min", value: ({ limits }) => limits.interval_seconds_min, align: "right" },
  { title: "schedules max", value: ({ limits }) => limits.schedules_max, align: "right" },
  { title: "runs a day max", value: ({ limits }) => limits.runs_per_day_max, align: "right" },
  { title: "maintenance", value: (tenant) => describeMaintenance(tenant, now) },
];
