import { GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";

export type Attributes = Record<string, string | undefined>;

/** What `createQueues` really makes, asked of a queue server; the visibility is the executors' default. */
export async function attributesOfCreatedQueues(name: string): Promise<{ queue: Attributes; deadLetterQueue: Attributes }> {
  const { endpoint, stop } = await startSqs({ port: 0 });
  const client = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 2 });
  const attributesOf = async (QueueUrl: string): Promise<Attributes> =>
    (await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))).Attributes ?? {};
  try {
    const visibilitySeconds = executorConfig.shape.VISIBILITY_SECONDS.parse(undefined);
    const { queueUrl, deadLetterQueueUrl } = await createQueues(client, name, visibilitySeconds);
    return { queue: await attributesOf(queueUrl), deadLetterQueue: await attributesOf(deadLetterQueueUrl) };
  } finally {
    client.destroy();
    await stop();
  }
}
