import { readConfig } from "@downbeat/runtime/config.ts";
import { Command } from "commander";
import type { Cli } from "../cli.ts";
import { devConfig } from "../config.ts";

export function devCommand(cli: Cli): Command {
  return new Command("dev")
    .description("Start everything on this machine: Postgres, SQS, API, dispatcher, executor and a sample receiver")
    .option("--clean", "instead, remove what earlier starts have kept (data, keys, log)")
    .action(async (options: { clean?: boolean }) => {
      if (options.clean) {
        const { cleanDev } = await import("../dev/clean-dev.ts");
        return cleanDev(cli);
      }
      const config = readConfig(devConfig, cli.environment);
      const { runDev } = await import("../dev/dev.ts");
      // Everything is closed; a handle that some library forgot must not keep the terminal waiting.
      process.exit(await runDev(config, cli));
    });
}
