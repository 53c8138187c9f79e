import { queueConfig } from "@downbeat/queue/config.ts";
import { Command } from "commander";
import { type Cli, printJson, readInstallation } from "../cli.ts";

export const defaultQueueName = "downbeat-runs";

/** The executor names the visibility of each receive itself; the queue's own only matters to other consumers. */
const visibilitySeconds = 60;

const connectionConfig = queueConfig.omit({ SQS_QUEUE_URL: true });

export function queueCreate(cli: Cli): Command {
  return new Command("create")
    .description("Create the queue, its dead-letter queue and the redrive policy; safe to repeat")
    .option("--name <name>", "name of the queue; the dead-letter queue gets -dlq after it", defaultQueueName)
    .option("--json", "print JSON")
    .action(async (options: { name: string; json?: boolean }) => {
      const config = await readInstallation(cli, connectionConfig);
      const { createQueueClient } = await import("@downbeat/queue/client.ts");
      const { createQueues } = await import("@downbeat/queue/create-queues.ts");
      const client = createQueueClient({
        region: config.AWS_REGION,
        ...(config.AWS_ENDPOINT_URL === undefined ? {} : { endpoint: config.AWS_ENDPOINT_URL }),
        socketsMax: 1,
      });
      try {
        const queues = await createQueues(client, options.name, visibilitySeconds);
        if (options.json) return printJson(cli, { queue_url: queues.queueUrl, dead_letter_queue_url: queues.deadLetterQueueUrl });
        cli.print(`SQS_QUEUE_URL=${queues.queueUrl}`);
        cli.remark(`dead-letter queue: ${queues.deadLetterQueueUrl}`);
      } finally {
        client.destroy();
      }
    });
}
