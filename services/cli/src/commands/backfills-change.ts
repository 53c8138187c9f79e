import { Command } from "commander";
import type { Backfill } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeProgress } from "../describe-backfill.ts";

const descriptions = {
  pause: "Make no further run of it; those under way go on",
  resume: "Go on with a paused one",
  cancel: "End it for good: what nobody is calling yet is withdrawn",
} as const;

/** `pause`, `resume` and `cancel`. */
export function backfillsChange(cli: Cli, action: keyof typeof descriptions): Command {
  return new Command(action)
    .description(descriptions[action])
    .argument("<backfill>", "id of the backfill")
    .option("--tenant <slug>", "whose backfill, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (id: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const backfill = await api.post<Backfill>(`/api/v1/backfills/${encodeURIComponent(id)}/${action}`);
      if (options.json) return printJson(cli, backfill);
      cli.print(`backfill ${backfill.id} is ${describeProgress(backfill)}`);
    });
}
