import { Command } from "commander";
import type { Audit } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { type Column, formatTable } from "../format-table.ts";
import { formatDuration, formatInstant } from "../format-instant.ts";
import { listAll } from "../list-all.ts";
import { readCount } from "../read-count.ts";

export function auditCommand(cli: Cli): Command {
  return new Command("audit")
    .description(
      "The last audits: whether every due instant is in the ledger. Dispatchers run them by themselves, once an hour; needs an administrator's key",
    )
    .option("--limit <count>", "how many audits at most", readCount, 5)
    .option("--json", "print JSON")
    .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
      const api = await connectApi(cli, {});
      const audits = await listAll<Audit>(api, "/api/v1/audits", {}, limit);
      if (json) return printJson(cli, { items: audits });
      if (audits.length === 0) return cli.print("no audit yet; a dispatcher makes the first one within a minute of its start");
      for (const line of formatTable(audits, auditColumns)) cli.print(line);
      const [latest] = audits;
      if (latest === undefined || latest.difference === 0) return;
      cli.print("");
      for (const line of formatTable(latest.findings, findingColumns)) cli.print(line);
      if (latest.findings.length < latest.difference) cli.print(`and ${latest.difference - latest.findings.length} more`);
    });
}

const auditColumns: Column<Audit>[] = [
  { title: "finished", value: (audit) => formatInstant(audit.finished_at) },
  { title: "took", value: (audit) => formatDuration(Date.parse(audit.finished_at) - Date.parse(audit.started_at)), align: "right" },
  { title: "schedules", value: (audit) => audit.schedules, align: "right" },
  { title: "expected", value: (audit) => audit.expected, align: "right" },
  { title: "recorded", value: (audit) => audit.recorded, align: "right" },
  { title: "lost", value: (audit) => audit.lost, align: "right" },
  { title: "unexpected", value: (audit) => audit.unexpected, align: "right" },
];

const findingColumns: Column<Audit["findings"][number]>[] = [
  { title: "finding", value: (finding) => finding.kind },
  { title: "instant", value: (finding) => formatInstant(finding.at) },
  { title: "tenant", value: (finding) => finding.tenant.slug },
  { title: "schedule", value: (finding) => finding.schedule.name },
  { title: "id", value: (finding) => finding.schedule.id },
];
