import { Command, Option } from "commander";
import { type Cli, printJson, readInstallation, usesDevInstallation } from "../cli.ts";
import { databaseConfig } from "../config.ts";
import { Failure, wrongUsage } from "../failure.ts";

interface KeysCreateOptions {
  scope: "admin" | "tenant" | "read";
  tenant?: string;
  name: string;
  env?: string;
  json?: boolean;
}

export function keysCreate(cli: Cli): Command {
  return new Command("create")
    .description("Make an API key directly in the database; it is shown once")
    .addOption(new Option("--scope <scope>", "what the key may do").choices(["admin", "tenant", "read"]).makeOptionMandatory())
    .option("--tenant <slug>", "the tenant the key speaks for; needed for the scopes tenant and read")
    .option("--name <name>", "what the key is for, to tell keys apart", "made by downbeat keys create")
    .option("--env <label>", "letters and digits in the key that say where it belongs (default: live; dev for `downbeat dev`)")
    .option("--json", "print JSON")
    .action(async (options: KeysCreateOptions) => {
      if (options.scope === "admin" && options.tenant !== undefined) throw wrongUsage("--tenant does not go with --scope admin");
      if (options.scope !== "admin" && options.tenant === undefined) throw wrongUsage(`--scope ${options.scope} needs --tenant`);
      const env = options.env ?? ((await usesDevInstallation(cli)) ? "dev" : "live");
      if (!/^[a-z0-9]{1,16}$/.test(env)) throw wrongUsage(`--env takes 1 to 16 lower-case letters or digits, got "${env}"`);
      const { DATABASE_URL } = await readInstallation(cli, databaseConfig);
      const { id, key } = await createKey(DATABASE_URL, { ...options, env });
      if (options.json) return printJson(cli, { id, key, scope: options.scope, tenant: options.tenant ?? null, name: options.name });
      cli.print(key);
      cli.remark("keep it: it is not shown again");
    });
}

async function createKey(url: string, options: KeysCreateOptions & { env: string }) {
  const { createApiKey } = await import("@downbeat/api/http/api-keys.ts");
  const { connect } = await import("@downbeat/store/connect.ts");
  const { tenantTransaction } = await import("@downbeat/store/tenant-transaction.ts");
  const sql = connect({ url, role: "downbeat_api", connectionsMax: 1, applicationName: "downbeat-keys" });
  try {
    const { scope, tenant: slug, name, env } = options;
    if (scope === "admin") return await createApiKey(sql, { scope, name, env });
    const tenant = await tenantTransaction(sql, { kind: "platform" }, (database) =>
      database
        .selectFrom("downbeat.tenants")
        .select("id")
        .where("slug", "=", slug ?? "")
        .executeTakeFirst(),
    );
    if (tenant === undefined) throw new Failure(`there is no tenant with the slug "${slug}"`);
    return await createApiKey(sql, { scope, tenantId: tenant.id, name, env });
  } finally {
    await sql.end({ timeout: 2 });
  }
}
