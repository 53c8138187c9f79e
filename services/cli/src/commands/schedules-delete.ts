import { Command } from "commander";
import type { Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeRule } from "../describe-schedule.ts";
import { Failure, wrongUsage } from "../failure.ts";
import { printable } from "../printable.ts";
import { schedulePath } from "../schedule-options.ts";
import { confirm, isInteractive } from "../terminal.ts";

interface DeleteOptions {
  yes?: boolean;
  tenant?: string;
  json?: boolean;
}

export function schedulesDelete(cli: Cli): Command {
  return new Command("delete")
    .description("Delete a schedule; what is due already still runs, and its runs stay in the ledger")
    .argument("<schedule>", "name or id")
    .option("--yes", "delete it without asking")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (name: string, options: DeleteOptions) => {
      const api = await connectApi(cli, options);
      const schedule = await api.get<Schedule>(schedulePath(name));
      await agree(schedule, options);
      // The one that was shown, whatever has got its name meanwhile.
      await api.delete(schedulePath(schedule.id));
      if (options.json) return printJson(cli, { deleted: schedule.id });
      cli.print(`deleted ${printable(schedule.name)} (${schedule.id}); its runs: downbeat runs list --schedule ${schedule.id}`);
    });
}

async function agree(schedule: Schedule, { yes }: DeleteOptions): Promise<void> {
  if (yes) return;
  const what = `${printable(schedule.name)} (${printable(describeRule(schedule))})`;
  if (!isInteractive()) throw wrongUsage(`nothing was deleted: add --yes to delete ${what}`);
  if (!(await confirm(`delete ${what}?`))) throw new Failure("nothing was deleted");
}
