import { Command } from "commander";
import type { Calendar } from "../api-answers.ts";
import {
  addScopeOptions,
  type CalendarOptions,
  collectEntry,
  connectFor,
  kindOption,
  type ScopeOptions,
  toCalendarFields,
} from "../calendar-options.ts";
import { type Cli, printJson } from "../cli.ts";
import { printable } from "../printable.ts";

export function calendarsCreate(cli: Cli): Command {
  const command = new Command("create")
    .description("Create a calendar that schedules can be held to")
    .requiredOption("--name <name>", "unique within the tenant, or within the installation")
    .addOption(kindOption().makeOptionMandatory())
    .option("--timezone <zone>", "IANA name: where its days begin and end (default: UTC)")
    .requiredOption(
      "--entry <entry>",
      "give it once for each: 2026-12-25, 2026-12-24/2026-12-26, 12-25, 'MON-FRI 09:00-17:00', or two instants with a / between",
      collectEntry,
    );
  return addScopeOptions(command)
    .option("--json", "print JSON")
    .action(async (options: CalendarOptions & ScopeOptions & { json?: boolean }) => {
      const api = await connectFor(cli, options);
      const calendar = await api.post<Calendar>("/api/v1/calendars", toCalendarFields(options));
      if (options.json) return printJson(cli, calendar);
      const name = printable(calendar.name);
      cli.print(`created ${name} (${calendar.id}), ${calendar.tenant === null ? "for every tenant" : `of ${calendar.tenant.slug}`}`);
      cli.remark(`next: hold schedules to it with "calendars": [${JSON.stringify(name)}]`);
    });
}
