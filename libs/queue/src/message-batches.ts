import { ChangeMessageVisibilityBatchCommand, DeleteMessageBatchCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";

/**
 * Deletes up to ten messages. A delete that fails is not an error worth a retry loop: the message comes back after its visibility timeout, finds its runs
 * recorded and is deleted then (rules D8, X5). Returns how many the server refused.
 */
export async function deleteMessages(client: QueueClient, queueUrl: string, receiptHandles: readonly string[]): Promise<number> {
  const answer = await client.send(
    new DeleteMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: receiptHandles.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle })),
    }),
  );
  return receiptHandles.length - (answer.Successful?.length ?? 0);
}

export interface VisibilityChange {
  receiptHandle: string;
  /** Seconds from now until the message is visible again; 0 hands it back at once. */
  visibilitySeconds: number;
}

/** Changes the visibility of up to ten messages. Returns how many the server refused (their receipt has expired). */
export async function changeVisibility(client: QueueClient, queueUrl: string, changes: readonly VisibilityChange[]): Promise<number> {
  const answer = await client.send(
    new ChangeMessageVisibilityBatchCommand({
      QueueUrl: queueUrl,
      Entries: changes.map(({ receiptHandle, visibilitySeconds }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: visibilitySeconds,
      })),
    }),
  );
  return changes.length - (answer.Successful?.length ?? 0);
}
