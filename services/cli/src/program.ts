import { Command } from "commander";
import type { Cli } from "./cli.ts";
import { apiCommand } from "./commands/api.ts";
import { devCommand } from "./commands/dev.ts";
import { dispatchCommand } from "./commands/dispatch.ts";
import { executorCommand } from "./commands/executor.ts";
import { keysCreate } from "./commands/keys-create.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { queueCreate } from "./commands/queue-create.ts";
import { queueStatus } from "./commands/queue-status.ts";
import { runsList } from "./commands/runs-list.ts";
import { runsShow } from "./commands/runs-show.ts";
import { runsWatch } from "./commands/runs-watch.ts";
import { schedulesCreate } from "./commands/schedules-create.ts";
import { schedulesList } from "./commands/schedules-list.ts";
import { schedulesRun } from "./commands/schedules-run.ts";
import packageJson from "../package.json" with { type: "json" };

/**
 * The tree of commands. Each file under `commands/` describes one and carries it out; what a command alone needs (Postgres, the AWS SDK, a whole service) is
 * imported when it runs, so that `downbeat --help` and typing errors answer at once.
 */
export function buildProgram(cli: Cli): Command {
  const program = new Command("downbeat")
    .description("Fires tenants' schedules on time and proves it.")
    .version(packageJson.version)
    .commandsGroup("Try it:")
    .addCommand(devCommand(cli))
    .commandsGroup("Schedules and runs (through the API):")
    .addCommand(group("schedules", "List, create and run schedules", [schedulesList(cli), schedulesCreate(cli), schedulesRun(cli)]))
    .addCommand(group("runs", "See what ran, what did not, and why", [runsList(cli), runsWatch(cli), runsShow(cli)]))
    .commandsGroup("Set up (database and queue):")
    .addCommand(migrateCommand(cli))
    .addCommand(group("queue", "Create the queues and look at their depth", [queueCreate(cli), queueStatus(cli)]))
    .addCommand(group("keys", "Make API keys", [keysCreate(cli)]))
    .commandsGroup("Services:")
    .addCommand(dispatchCommand(cli))
    .addCommand(executorCommand(cli))
    .addCommand(apiCommand(cli));
  eachCommand(program, (command) =>
    command
      .exitOverride()
      .showSuggestionAfterError(false)
      .configureOutput({ outputError: (text, write) => write(`${text.trim().replaceAll("\n", " ")}\n`) }),
  );
  return program;
}

function group(name: string, description: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return parent;
}

function eachCommand(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const child of command.commands) eachCommand(child, act);
}
