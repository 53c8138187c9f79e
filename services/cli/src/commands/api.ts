import { Command } from "commander";
import { type Cli, readInstallation } from "../cli.ts";

/** Requests are short; what is still open after this is cut. */
const shutdownMs = 15_000;

export function apiCommand(cli: Cli): Command {
  return new Command("api").description("Serve the REST API until told to stop; configured by environment variables").action(async () => {
    const { apiConfig } = await import("@downbeat/api/config.ts");
    const config = await readInstallation(cli, apiConfig);
    const { runApi } = await import("@downbeat/api/run.ts");
    const { runProcess } = await import("@downbeat/runtime/lifecycle.ts");
    const { createLog } = await import("@downbeat/runtime/log.ts");
    const log = createLog("api", config.LOG_LEVEL);
    await runProcess(() => runApi(config, { log }), { log, shutdownMs });
  });
}
