import { ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";

export interface QueueMessage {
  messageId: string;
  /** Names this receipt; a later receive of the same message has another one. */
  receiptHandle: string;
  body: string;
}

export interface ReceiveOptions {
  client: QueueClient;
  queueUrl: string;
  /** How long a received message stays hidden from other receivers, in seconds. */
  visibilitySeconds: number;
  /** How long the server waits for a first message, in seconds, 0–20. */
  waitSeconds: number;
  signal: AbortSignal;
}

/** One long poll for up to ten messages. Answers an empty list when none came. */
export async function receiveMessages({
  client,
  queueUrl,
  visibilitySeconds,
  waitSeconds,
  signal,
}: ReceiveOptions): Promise<QueueMessage[]> {
  const answer = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      // Asking for full tens measured twice the throughput of asking for the free slots (docs/decisions/0004).
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilitySeconds,
    }),
    { abortSignal: signal },
  );
  return (answer.Messages ?? []).map((message) => ({
    messageId: message.MessageId ?? "",
    receiptHandle: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
  }));
}
