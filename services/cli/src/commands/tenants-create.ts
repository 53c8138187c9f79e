import { Command } from "commander";
import type { CreatedTenant } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";

export function tenantsCreate(cli: Cli): Command {
  return new Command("create")
    .description("Create a tenant and its first API key, which is shown once; with an administrator's key")
    .argument("<slug>", "short unique name: lower-case letters, digits and hyphens")
    .option("--name <name>", "name for people (default: the slug)")
    .option("--json", "print JSON")
    .action(async (slug: string, options: { name?: string; json?: boolean }) => {
      const api = await connectApi(cli, { tenant: null });
      const created = await api.post<CreatedTenant>("/api/v1/tenants", {
        slug,
        ...(options.name === undefined ? {} : { name: options.name }),
      });
      if (options.json) return printJson(cli, created);
      cli.print(created.api_key);
      cli.remark(`created ${created.slug} (${created.id}); keep its key: it is not shown again`);
    });
}
