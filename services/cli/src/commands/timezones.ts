import { Command } from "commander";
import type { Timezones } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { type Column, formatTable } from "../format-table.ts";
import { formatInstant } from "../format-instant.ts";

export function timezonesCommand(cli: Cli): Command {
  return new Command("timezones")
    .description("Time zones in use, their next clock changes, and what a new time zone database moved")
    .option("--tenant <slug>", "whose schedules, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const zones = await api.get<Timezones>("/api/v1/timezones");
      if (options.json) return printJson(cli, zones);
      for (const line of describe(zones)) cli.print(line);
    });
}

function describe({ tzdata, dispatchers, items, moves }: Timezones): string[] {
  const looked = dispatchers === null ? "no dispatcher has looked yet" : `dispatchers: ${dispatchers.tzdata}`;
  const lines = [`time zone database ${tzdata ?? "of unknown version"}; ${looked}`, ""];
  if (items.length === 0) return [...lines, "no cron schedules, so no zone is in use"];
  lines.push(...formatTable(items, zoneColumns));
  return moves.length === 0 ? lines : [...lines, "", ...formatTable(moves, moveColumns)];
}

type ZoneInUse = Timezones["items"][number];

const zoneColumns: Column<ZoneInUse>[] = [
  { title: "time zone", value: (zone) => zone.timezone },
  { title: "schedules", value: (zone) => zone.schedules, align: "right" },
  { title: "offset", value: (zone) => (zone.is_known ? zone.offset : "unknown zone") },
  { title: "next change", value: (zone) => describeChange(zone, 0) },
  { title: "then", value: (zone) => describeChange(zone, 1) },
];

function describeChange({ changes }: ZoneInUse, index: number): string {
  const change = changes[index];
  return change === undefined ? "" : `${formatInstant(change.at)} to ${change.after}`;
}

const moveColumns: Column<Timezones["moves"][number]>[] = [
  { title: "moved by", value: (move) => move.tzdata },
  { title: "time zone", value: (move) => move.timezones.join(", ") },
  { title: "tenant", value: (move) => move.tenant.slug },
  { title: "schedule", value: (move) => move.schedule.name },
  { title: "no longer at", value: (move) => showInstants(move.gone) },
  { title: "but at", value: (move) => showInstants(move.come) },
];

function showInstants([first, ...others]: readonly string[]): string {
  return first === undefined ? "" : `${formatInstant(first)}${others.length === 0 ? "" : " …"}`;
}
