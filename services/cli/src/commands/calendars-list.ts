import { Command } from "commander";
import type { Calendar } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { type Column, formatTable } from "../format-table.ts";
import { listAll } from "../list-all.ts";

export function calendarsList(cli: Cli): Command {
  return new Command("list")
    .description("Calendars that schedules can be held to: the installation's and the tenant's own")
    .option("--tenant <slug>", "whose calendars, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const calendars = await listAll<Calendar>(api, "/api/v1/calendars");
      if (options.json) return printJson(cli, { items: calendars });
      if (calendars.length === 0) {
        return cli.print(
          'no calendars yet; next: downbeat calendars create --name holidays --kind blackout --entry 12-25 (see "calendars create --help")',
        );
      }
      for (const line of formatTable(calendars, columns)) cli.print(line);
    });
}

const shownEntries = 3;

const columns: Column<Calendar>[] = [
  { title: "name", value: (calendar) => calendar.name },
  { title: "of", value: (calendar) => calendar.tenant?.slug ?? "(installation)" },
  { title: "kind", value: (calendar) => calendar.kind },
  { title: "timezone", value: (calendar) => calendar.timezone },
  { title: "entries", value: ({ entries }) => describeEntries(entries) },
];

function describeEntries(entries: readonly string[]): string {
  const others = entries.length - shownEntries;
  return `${entries.slice(0, shownEntries).join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
}
