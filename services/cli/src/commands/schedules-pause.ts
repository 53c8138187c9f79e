import { Command } from "commander";
import type { PausedSchedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { count } from "../describe-backfill.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";
import { schedulePath } from "../schedule-options.ts";

interface PauseOptions {
  until?: string;
  reason?: string;
  tenant?: string;
  json?: boolean;
}

export function schedulesPause(cli: Cli): Command {
  return new Command("pause")
    .description("Pause a schedule: nothing of it runs from now on; says how many occurrences that concerns")
    .argument("<schedule>", "name or id")
    .option("--until <instant>", "when the pause ends by itself, with an offset (default: when somebody resumes it)")
    .option("--reason <text>", "why, for whoever looks at it later")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (schedule: string, { until, reason, ...options }: PauseOptions) => {
      const api = await connectApi(cli, options);
      const body = { ...(until === undefined ? {} : { until }), ...(reason === undefined ? {} : { reason }) };
      const paused = await api.post<PausedSchedule>(`${schedulePath(schedule)}/pause`, body);
      if (options.json) return printJson(cli, paused);
      cli.print(`paused ${printable(paused.name)}: ${describePause(paused.pause)}`);
    });
}

const replays: Readonly<Record<PausedSchedule["pause"]["on_resume"], string>> = {
  skip: "are skipped",
  latest: "are skipped but for the latest, which runs when it is resumed",
  all: "run when it is resumed, at most 1,000",
};

/** What a pause costs, on one line. */
export function describePause({
  until,
  occurrences,
  skipped,
  replayed,
  per_day: perDay,
  on_resume: onResume,
}: PausedSchedule["pause"]): string {
  if (until === null)
    return `until it is resumed; its occurrences, ${perDay.toLocaleString("en-US")} in the first day, ${replays[onResume]} (on_resume ${onResume})`;
  if (occurrences === null || skipped === null || replayed === null) return `until ${formatInstant(until)}`;
  const outcome =
    replayed === 0
      ? `${skipped.toLocaleString("en-US")} skipped`
      : `${skipped.toLocaleString("en-US")} skipped, ${replayed.toLocaleString("en-US")} made up for then`;
  return `until ${formatInstant(until)}; ${count(occurrences, "occurrence")} in that time: ${outcome} (on_resume ${onResume})`;
}
