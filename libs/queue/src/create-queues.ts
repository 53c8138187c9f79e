import { CreateQueueCommand, GetQueueAttributesCommand, SetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";

export interface Queues {
  queueUrl: string;
  deadLetterQueueUrl: string;
}

/** Poison guard only (rule X7): the retry counter is the ledger's. */
const receivesMax = 20;
/** SQS keeps a message at most 14 days; the dead-letter queue keeps it that long so that a person can look. */
const retentionSeconds = 14 * 24 * 3600;

/**
 * Makes the queue `name`, its dead-letter queue `name-dlq` and the redrive policy between them. Safe to repeat: queues that exist are brought to these settings.
 */
export async function createQueues(client: QueueClient, name: string, visibilitySeconds: number): Promise<Queues> {
  const deadLetterQueueUrl = await ensureQueue(client, `${name}-dlq`);
  const { Attributes: deadLetterQueue } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetterQueueUrl, AttributeNames: ["QueueArn"] }),
  );
  const queueUrl = await ensureQueue(client, name);
  const retention = { MessageRetentionPeriod: String(retentionSeconds) };
  await client.send(new SetQueueAttributesCommand({ QueueUrl: deadLetterQueueUrl, Attributes: retention }));
  await client.send(
    new SetQueueAttributesCommand({
      QueueUrl: queueUrl,
      Attributes: {
        ...retention,
        VisibilityTimeout: String(visibilitySeconds),
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadLetterQueue?.["QueueArn"], maxReceiveCount: receivesMax }),
      },
    }),
  );
  return { queueUrl, deadLetterQueueUrl };
}

/** Created without attributes, because SQS refuses to "create" an existing queue whose attributes differ. */
async function ensureQueue(client: QueueClient, name: string): Promise<string> {
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }));
  if (QueueUrl === undefined) throw new Error(`the queue server gave no URL for "${name}"`);
  return QueueUrl;
}
