import { Command } from "commander";
import type { Backfill } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { backfillColumns } from "../describe-backfill.ts";
import { formatTable } from "../format-table.ts";
import { listAll } from "../list-all.ts";

export function backfillsList(cli: Cli): Command {
  return new Command("list")
    .description("Backfills of a schedule, newest first")
    .argument("<schedule>", "name or id")
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (schedule: string, options: { tenant?: string; json?: boolean }) => {
      const api = await connectApi(cli, options);
      const backfills = await listAll<Backfill>(api, `/api/v1/schedules/${encodeURIComponent(schedule)}/backfills`);
      if (options.json) return printJson(cli, { items: backfills });
      if (backfills.length === 0)
        return cli.print(`no backfills yet; next: downbeat schedules backfill "${schedule}" --from <instant> --plan`);
      for (const line of formatTable(backfills, backfillColumns)) cli.print(line);
    });
}
