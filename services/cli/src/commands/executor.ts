import { Command } from "commander";
import { type Cli, readInstallation } from "../cli.ts";

export function executorCommand(cli: Cli): Command {
  return new Command("executor")
    .description("Receive wake-ups and deliver runs until told to stop; configured by environment variables")
    .action(async () => {
      const { executorConfig } = await import("@downbeat/executor/config.ts");
      const config = await readInstallation(cli, executorConfig);
      const { runExecutor } = await import("@downbeat/executor/run.ts");
      const { runProcess } = await import("@downbeat/runtime/lifecycle.ts");
      const { createLog } = await import("@downbeat/runtime/log.ts");
      const log = createLog("executor", config.LOG_LEVEL);
      await runProcess(() => runExecutor(config, { log }), { log, shutdownMs: (config.DRAIN_SECONDS + 5) * 1_000 });
    });
}
