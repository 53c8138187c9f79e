import { Command } from "commander";
import type { Backfill } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { describeBackfill } from "../describe-backfill.ts";

export function backfillsShow(cli: Cli): Command {
  return new Command("show")
    .description("One backfill and how far it is")
    .argument("<backfill>", "id of the backfill")
    .option("--tenant <slug>", "whose backfill, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (id: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const backfill = await api.get<Backfill>(`/api/v1/backfills/${encodeURIComponent(id)}`);
      if (options.json) return printJson(cli, backfill);
      for (const line of describeBackfill(backfill)) cli.print(line);
    });
}
