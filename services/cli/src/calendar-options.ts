import { type Command, Option } from "commander";
import { type Cli, connectApi } from "./cli.ts";
import type { ApiClient } from "./api-client.ts";

/** Whose calendar a command means. */
export interface ScopeOptions {
  installation?: boolean;
  tenant?: string;
}

export function addScopeOptions(command: Command): Command {
  return command
    .addOption(new Option("--installation", "one of the installation, with an administrator's key").conflicts("tenant"))
    .option("--tenant <slug>", "one of this tenant, with an administrator's key");
}

/** The API, speaking for the installation or for a tenant. */
export function connectFor(cli: Cli, { installation, tenant }: ScopeOptions): Promise<ApiClient> {
  return connectApi(cli, installation ? { tenant: null } : tenant === undefined ? {} : { tenant });
}

/** What a calendar says, as options: for `create` they are needed, for `update` each may be left out. */
export interface CalendarOptions {
  name?: string;
  kind?: string;
  timezone?: string;
  entry?: string[];
}

export const kindOption = () =>
  new Option("--kind <kind>", "blackout: nothing runs in it; allow: nothing runs outside of it").choices(["allow", "blackout"]);

/** `--entry`, given once for each. */
export function collectEntry(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

/** The fields of a request for the options that were given. What they mean is for the API to judge. */
export function toCalendarFields({ name, kind, timezone, entry }: CalendarOptions): Record<string, unknown> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(kind === undefined ? {} : { kind }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(entry === undefined ? {} : { entries: entry }),
  };
}

export function calendarPath(calendar: string): string {
  return `/api/v1/calendars/${encodeURIComponent(calendar)}`;
}
