import { GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";

/** Approximate, as SQS says itself. */
export interface QueueDepth {
  visible: number;
  inFlight: number;
  delayed: number;
}

/** Rejects when the queue does not answer, or the signal aborted first. */
export async function queueDepth(client: QueueClient, queueUrl: string, signal?: AbortSignal): Promise<QueueDepth> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({
      QueueUrl: queueUrl,
      AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"],
    }),
    signal === undefined ? {} : { abortSignal: signal },
  );
  return {
    visible: Number(Attributes?.["ApproximateNumberOfMessages"] ?? 0),
    inFlight: Number(Attributes?.["ApproximateNumberOfMessagesNotVisible"] ?? 0),
    delayed: Number(Attributes?.["ApproximateNumberOfMessagesDelayed"] ?? 0),
  };
}
