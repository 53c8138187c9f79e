import { Command, Option } from "commander";
import type { Tenant } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeMaintenance, tenantPath } from "../describe-tenant.ts";
import { wrongUsage } from "../failure.ts";

interface MaintenanceOptions {
  on?: boolean;
  off?: boolean;
  from?: string;
  until?: string;
  reason?: string;
  json?: boolean;
}

export function tenantsMaintenance(cli: Cli): Command {
  return new Command("maintenance")
    .description("Have nothing of a tenant run for a while: what comes due meanwhile is skipped, and recorded as that")
    .argument("<tenant>", "slug or id")
    .addOption(new Option("--on", "begin it; while it is on, change its end and reason").conflicts("off"))
    .addOption(new Option("--off", "end it now, or call off one that is planned"))
    .option("--from <instant>", "with --on: when it begins, with an offset (default: now)")
    .option("--until <instant>", "with --on: when it ends by itself, with an offset (default: when it is ended)")
    .option("--reason <text>", "with --on: why, for whoever looks at it later")
    .option("--json", "print JSON")
    .action(async (tenant: string, options: MaintenanceOptions) => {
      const body = toMaintenance(options);
      const api = await connectApi(cli, { tenant: null });
      const path = `${tenantPath(tenant)}/maintenance`;
      const changed = body === null ? await api.delete<Tenant>(path) : await api.post<Tenant>(path, body);
      if (options.json) return printJson(cli, changed);
      cli.print(`maintenance of ${changed.slug}: ${describeMaintenance(changed, new Date()) || "off"}`);
    });
}

/** What to ask for; null to end it. */
export function toMaintenance({ on, off, from, until, reason }: MaintenanceOptions): Record<string, unknown> | null {
  if (!on && !off) throw wrongUsage("say which: --on or --off");
  const body = {
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    ...(reason === undefined ? {} : { reason }),
  };
  if (on) return body;
  const [given] = Object.keys(body);
  if (given !== undefined) throw wrongUsage(`--${given} goes with --on`);
  return null;
}
