import { queueConfig } from "@downbeat/queue/config.ts";
import type { QueueDepth } from "@downbeat/queue/queue-depth.ts";
import { Command } from "commander";
import { type Cli, printJson, readInstallation } from "../cli.ts";
import { Failure } from "../failure.ts";
import { formatTable } from "../format-table.ts";

export function queueStatus(cli: Cli): Command {
  return new Command("status")
    .description("Messages in the queue and its dead-letter queue, approximately, as SQS counts them")
    .option("--json", "print JSON")
    .action(async (options: { json?: boolean }) => {
      const config = await readInstallation(cli, queueConfig);
      const { createQueueClient } = await import("@downbeat/queue/client.ts");
      const { queueDepth } = await import("@downbeat/queue/queue-depth.ts");
      const client = createQueueClient({
        region: config.AWS_REGION,
        ...(config.AWS_ENDPOINT_URL === undefined ? {} : { endpoint: config.AWS_ENDPOINT_URL }),
        socketsMax: 2,
      });
      try {
        const urls = [config.SQS_QUEUE_URL, `${config.SQS_QUEUE_URL}-dlq`];
        const depths = await Promise.all(urls.map((url) => queueDepth(client, url).catch((error: unknown) => throwMissing(url, error))));
        const rows = urls.map((url, index) => ({ queue: url.split("/").at(-1) ?? url, ...(depths[index] as QueueDepth) }));
        if (options.json) {
          return printJson(cli, {
            items: rows.map(({ queue, visible, inFlight, delayed }) => ({ queue, visible, in_flight: inFlight, delayed })),
          });
        }
        const lines = formatTable(rows, [
          { title: "queue", value: (row) => row.queue },
          { title: "visible", value: (row) => row.visible, align: "right" },
          { title: "in flight", value: (row) => row.inFlight, align: "right" },
          { title: "delayed", value: (row) => row.delayed, align: "right" },
        ]);
        for (const line of lines) cli.print(line);
      } finally {
        client.destroy();
      }
    });
}

/** AWS's own words do not say which queue. */
function throwMissing(url: string, error: unknown): never {
  if (!(error instanceof Error) || error.name !== "QueueDoesNotExist") throw error;
  const name = url.split("/").at(-1) ?? url;
  const made = name.replace(/-dlq$/, "");
  throw new Failure(`there is no queue "${name}" (${url}); make it: downbeat queue create --name ${made}`, { cause: error });
}
