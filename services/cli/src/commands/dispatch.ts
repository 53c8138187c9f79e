import { Command, Option } from "commander";
import { type Cli, printJson, readInstallation } from "../cli.ts";
import { describeDryRun, dryRunJson } from "../describe-dry-run.ts";
import { Failure, wrongUsage } from "../failure.ts";

interface DispatchOptions {
  for?: string;
  dryRun?: boolean;
  tenant?: string;
  json?: boolean;
}

export function dispatchCommand(cli: Cli): Command {
  return new Command("dispatch")
    .description("Claim what is due and hand it to the queue; configured by environment variables")
    .option("--for <seconds>", "how long to go on; 0 makes one pass, `forever` never ends (default: DISPATCH_FOR_SECONDS or 55)")
    .addOption(new Option("--dry-run", "print what a pass would do now, and do nothing").conflicts("for"))
    .option("--tenant <slug>", "with --dry-run: only this tenant")
    .option("--json", "with --dry-run: print JSON")
    .action(async (options: DispatchOptions) => {
      if (options.dryRun) return printDryRun(cli, options);
      if (options.tenant !== undefined) throw wrongUsage("--tenant needs --dry-run: a real pass serves every tenant");
      if (options.json) throw wrongUsage("--json needs --dry-run: a real pass logs JSON anyway");
      if (options.for !== undefined && !/^(\d+|forever)$/.test(options.for)) {
        throw wrongUsage(`--for takes a number of seconds or \`forever\`, got "${options.for}"`);
      }
      await dispatch(cli, options);
    });
}

async function dispatch(cli: Cli, options: DispatchOptions): Promise<void> {
  const { dispatcherConfig } = await import("@downbeat/dispatcher/config.ts");
  const config = await readInstallation(cli, dispatcherConfig, options.for === undefined ? {} : { DISPATCH_FOR_SECONDS: options.for });
  const { runDispatcher } = await import("@downbeat/dispatcher/run.ts");
  const { runProcess } = await import("@downbeat/runtime/lifecycle.ts");
  const { createLog } = await import("@downbeat/runtime/log.ts");
  const log = createLog("dispatcher", config.LOG_LEVEL);
  await runProcess(() => runDispatcher(config, { log }), { log, shutdownMs: 30_000 });
}

async function printDryRun(cli: Cli, options: DispatchOptions): Promise<void> {
  const { dispatcherConfig } = await import("@downbeat/dispatcher/config.ts");
  const { dryRun, UnknownTenantError } = await import("@downbeat/dispatcher/dry-run.ts");
  const { connect } = await import("@downbeat/store/connect.ts");
  // No queue is touched, so none has to be named.
  const config = await readInstallation(
    cli,
    dispatcherConfig.pick({ DATABASE_URL: true, HORIZON_SECONDS: true, PUBLISH_TIMEOUT_MS: true }),
  );
  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_dispatcher", connectionsMax: 1, applicationName: "downbeat-dry-run" });
  try {
    const plan = await dryRun({ sql, config, tenant: options.tenant });
    if (options.json) printJson(cli, dryRunJson(plan));
    else for (const line of describeDryRun(plan, config.HORIZON_SECONDS)) cli.print(line);
  } catch (error) {
    throw error instanceof UnknownTenantError ? new Failure(error.message, { cause: error }) : error;
  } finally {
    await sql.end({ timeout: 2 });
  }
}
