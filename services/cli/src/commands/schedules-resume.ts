import { Command, Option } from "commander";
import type { ResumedSchedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { count } from "../describe-backfill.ts";
import { formatInstant } from "../format-instant.ts";
import { printable } from "../printable.ts";
import { misfires, schedulePath } from "../schedule-options.ts";

interface ResumeOptions {
  onResume?: string;
  tenant?: string;
  json?: boolean;
}

export function schedulesResume(cli: Cli): Command {
  return new Command("resume")
    .description("Resume a paused schedule; says what became of the occurrences of its pause")
    .argument("<schedule>", "name or id")
    .addOption(
      new Option("--on-resume <policy>", "what runs of what fell into the pause (default: as the schedule says)").choices(misfires),
    )
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (schedule: string, { onResume, ...options }: ResumeOptions) => {
      const api = await connectApi(cli, options);
      const resumed = await api.post<ResumedSchedule>(
        `${schedulePath(schedule)}/resume`,
        onResume === undefined ? {} : { on_resume: onResume },
      );
      if (options.json) return printJson(cli, resumed);
      cli.print(describeResumed(resumed));
    });
}

export function describeResumed({
  name,
  state,
  next_run_at: nextRunAt,
  resume,
}: Pick<ResumedSchedule, "name" | "state" | "next_run_at" | "resume">): string {
  const next = nextRunAt === null ? `it is ${state}` : `next run ${formatInstant(nextRunAt)}`;
  const { skipped, replayed } = resume;
  const pause =
    skipped + replayed === 0
      ? ""
      : `; of its pause ${count(skipped, "occurrence")} skipped, ${replayed.toLocaleString("en-US")} made up for now`;
  return `resumed ${printable(name)}; ${next}${pause}`;
}
