import { Command } from "commander";
import type { CalendarDetail } from "../api-answers.ts";
import { addScopeOptions, calendarPath, connectFor, type ScopeOptions } from "../calendar-options.ts";
import { type Cli, printJson } from "../cli.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";

export function calendarsShow(cli: Cli): Command {
  const command = new Command("show").description("One calendar, with all its entries").argument("<calendar>", "name or id");
  return addScopeOptions(command)
    .option("--json", "print JSON")
    .action(async (calendar: string, options: ScopeOptions & { json?: boolean }) => {
      const api = await connectFor(cli, options);
      const found = await api.get<CalendarDetail>(calendarPath(calendar));
      if (options.json) return printJson(cli, found);
      for (const line of describe(found)) cli.print(line);
    });
}

function describe({ id, name, tenant, kind, timezone, entries, schedules, updated_at }: CalendarDetail): string[] {
  const facts: [string, string | number][] = [
    ["calendar", name],
    ["id", id],
    ["of", tenant?.slug ?? "the installation"],
    ["kind", kind === "blackout" ? "blackout: nothing runs in it" : "allow: nothing runs outside of it"],
    ["timezone", timezone],
    ["used by", `${schedules} ${schedules === 1 ? "schedule" : "schedules"}`],
    ["changed", formatInstant(updated_at)],
  ];
  return [
    ...facts.map(([title, value]) => `${title.padEnd(10)}${printable(String(value))}`),
    "",
    ...entries.map((entry) => `  ${printable(entry)}`),
  ];
}
