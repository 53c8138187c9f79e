import { Command } from "commander";
import { type Cli, printJson, readInstallation } from "../cli.ts";
import { databaseConfig } from "../config.ts";
import { readCount } from "../read-count.ts";

export function migrateCommand(cli: Cli): Command {
  return new Command("migrate")
    .description("Bring the database schema to this version; safe to repeat and to run twice at once")
    .option("--wait <seconds>", "wait this long for a Postgres that does not answer yet", readCount)
    .option("--json", "print JSON")
    .action(async (options: { wait?: number; json?: boolean }) => {
      const config = await readInstallation(cli, databaseConfig);
      const { connect } = await import("@downbeat/store/connect.ts");
      const { migrate } = await import("@downbeat/store/migrate.ts");
      const { waitForPostgres } = await import("../wait-for-postgres.ts");
      const sql = connect({ url: config.DATABASE_URL, connectionsMax: 1, applicationName: "downbeat-migrate" });
      try {
        if (options.wait !== undefined) await waitForPostgres(cli, sql, options.wait);
        const applied = await migrate(sql);
        if (options.json) return printJson(cli, { applied });
        for (const name of applied) cli.print(`applied ${name}`);
        if (applied.length === 0) cli.print("nothing to apply: the schema is up to date");
      } finally {
        await sql.end({ timeout: 2 });
      }
    });
}
