import { Command } from "commander";
import { addScopeOptions, calendarPath, connectFor, type ScopeOptions } from "../calendar-options.ts";
import { type Cli, printJson } from "../cli.ts";
import { printable } from "../printable.ts";

export function calendarsDelete(cli: Cli): Command {
  const command = new Command("delete").description("Delete a calendar that no schedule uses").argument("<calendar>", "name or id");
  return addScopeOptions(command)
    .option("--json", "print JSON")
    .action(async (calendar: string, options: ScopeOptions & { json?: boolean }) => {
      const api = await connectFor(cli, options);
      await api.delete(calendarPath(calendar));
      if (options.json) return printJson(cli, { deleted: calendar });
      cli.print(`deleted ${printable(calendar)}`);
    });
}
