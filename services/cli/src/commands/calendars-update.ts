import { Command } from "commander";
import type { CalendarDryRun, ChangedCalendar } from "../api-answers.ts";
import {
  addScopeOptions,
  calendarPath,
  type CalendarOptions,
  collectEntry,
  connectFor,
  kindOption,
  type ScopeOptions,
  toCalendarFields,
} from "../calendar-options.ts";
import { type Cli, printJson } from "../cli.ts";
import { wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { type Column, formatTable } from "../format-table.ts";
import { printable } from "../printable.ts";

type UpdateOptions = CalendarOptions & ScopeOptions & { dryRun?: boolean; json?: boolean };
type Change = ChangedCalendar["change"];

export function calendarsUpdate(cli: Cli): Command {
  const command = new Command("update")
    .description("Change a calendar, and with it every schedule that uses it")
    .argument("<calendar>", "name or id")
    .option("--name <name>", "its new name; schedules go on using it")
    .addOption(kindOption())
    .option("--timezone <zone>", "IANA name: where its days begin and end")
    .option("--entry <entry>", "give it once for each; together they take the place of the present ones", collectEntry);
  return addScopeOptions(command)
    .option("--dry-run", "print what would become of each schedule, and change nothing")
    .option("--json", "print JSON")
    .action(async (calendar: string, options: UpdateOptions) => {
      const fields = toCalendarFields(options);
      if (Object.keys(fields).length === 0) throw wrongUsage("say what to change: at least one of --name, --kind, --timezone and --entry");
      const api = await connectFor(cli, options);
      const query = options.dryRun ? { dry_run: "true" } : {};
      const answer = await api.patch<ChangedCalendar | CalendarDryRun>(calendarPath(calendar), fields, query);
      if (options.json) return printJson(cli, answer);
      for (const line of describeChange(answer.change, "name" in answer ? `changed ${printable(answer.name)}: ` : "would mean: "))
        cli.print(line);
    });
}

export function describeChange({ recomputed, withdrawn, schedules, completed }: Change, what: string): string[] {
  if (recomputed === 0) return [`${what}no schedule is concerned`];
  const counts = [
    `${count(recomputed, "schedule")} computed anew`,
    `${count(withdrawn, "run")} withdrawn`,
    ...(completed.length === 0
      ? []
      : [`${completed.length} completed, because nothing is left of ${completed.length === 1 ? "it" : "them"}`]),
  ];
  return [`${what}${counts.join(", ")}`, "", ...formatTable(schedules, columns)];
}

const columns: Column<Change["schedules"][number]>[] = [
  { title: "schedule", value: (schedule) => schedule.name },
  { title: "tenant", value: (schedule) => schedule.tenant.slug },
  { title: "next run before", value: (schedule) => formatInstant(schedule.next_run_at_before) },
  { title: "after", value: (schedule) => formatInstant(schedule.next_run_at_after) },
];

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
