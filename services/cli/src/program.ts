import { Command } from "commander";
import type { Cli } from "./cli.ts";
import { apiCommand } from "./commands/api.ts";
import { auditCommand } from "./commands/audit.ts";
import { backfillsChange } from "./commands/backfills-change.ts";
import { backfillsList } from "./commands/backfills-list.ts";
import { backfillsShow } from "./commands/backfills-show.ts";
import { calendarsCreate } from "./commands/calendars-create.ts";
import { calendarsDelete } from "./commands/calendars-delete.ts";
import { calendarsList } from "./commands/calendars-list.ts";
import { calendarsShow } from "./commands/calendars-show.ts";
import { calendarsUpdate } from "./commands/calendars-update.ts";
import { devCommand } from "./commands/dev.ts";
import { dispatchCommand } from "./commands/dispatch.ts";
import { executorCommand } from "./commands/executor.ts";
import { forecastCommand } from "./commands/forecast.ts";
import { keysCreate } from "./commands/keys-create.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { queueCreate } from "./commands/queue-create.ts";
import { queueStatus } from "./commands/queue-status.ts";
import { runsList } from "./commands/runs-list.ts";
import { runsShow } from "./commands/runs-show.ts";
import { runsWatch } from "./commands/runs-watch.ts";
import { schedulesBackfill } from "./commands/schedules-backfill.ts";
import { schedulesCreate } from "./commands/schedules-create.ts";
import { schedulesDelete } from "./commands/schedules-delete.ts";
import { explainCommand, schedulesExplain } from "./commands/schedules-explain.ts";
import { schedulesList } from "./commands/schedules-list.ts";
import { schedulesPause } from "./commands/schedules-pause.ts";
import { schedulesPreview } from "./commands/schedules-preview.ts";
import { schedulesResume } from "./commands/schedules-resume.ts";
import { schedulesRun } from "./commands/schedules-run.ts";
import { schedulesShow } from "./commands/schedules-show.ts";
import { schedulesSpread } from "./commands/schedules-spread.ts";
import { schedulesUpdate } from "./commands/schedules-update.ts";
import { schedulesValidate } from "./commands/schedules-validate.ts";
import { timezonesCommand } from "./commands/timezones.ts";
import { tenantsCreate } from "./commands/tenants-create.ts";
import { tenantsList } from "./commands/tenants-list.ts";
import { tenantsMaintenance } from "./commands/tenants-maintenance.ts";
import { tenantsShow } from "./commands/tenants-show.ts";
import { tenantsUpdate } from "./commands/tenants-update.ts";
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
    .addCommand(
      group("schedules", "List, create, change and run schedules", [
        schedulesList(cli),
        schedulesShow(cli),
        schedulesCreate(cli),
        schedulesUpdate(cli),
        schedulesSpread(cli),
        schedulesRun(cli),
        schedulesPause(cli),
        schedulesResume(cli),
        schedulesDelete(cli),
        schedulesPreview(cli),
        schedulesValidate(cli),
        schedulesExplain(cli),
        schedulesBackfill(cli),
      ]),
    )
    .addCommand(
      group("backfills", "See and steer runs of past stretches", [
        backfillsList(cli),
        backfillsShow(cli),
        ...(["pause", "resume", "cancel"] as const).map((action) => backfillsChange(cli, action)),
      ]),
    )
    .addCommand(
      group("calendars", "Days, times and periods that schedules are held to", [
        calendarsList(cli),
        calendarsShow(cli),
        calendarsCreate(cli),
        calendarsUpdate(cli),
        calendarsDelete(cli),
      ]),
    )
    .addCommand(group("runs", "See what ran, what did not, and why", [runsList(cli), runsWatch(cli), runsShow(cli)]))
    .addCommand(explainCommand(cli))
    .addCommand(forecastCommand(cli))
    .addCommand(auditCommand(cli))
    .addCommand(timezonesCommand(cli))
    .addCommand(
      group("tenants", "Tenants, their limits and their maintenance", [
        tenantsList(cli),
        tenantsShow(cli),
        tenantsCreate(cli),
        tenantsUpdate(cli),
        tenantsMaintenance(cli),
      ]),
    )
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
