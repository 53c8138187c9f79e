import { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";
import type { WakeUp } from "./pack-wake-ups.ts";

export interface SendResult {
  accepted: WakeUp[];
  /** Not taken this time (the server's fault, or no answer for the entry): worth sending again. */
  failed: WakeUp[];
  /** Refused because of what they are: sending them again would fail again. */
  refused: WakeUp[];
}

/**
 * One `SendMessageBatch` of up to ten messages. Results are read entry by entry, because a batch that answers 200 may have lost some (rule D6): an entry in neither
 * list counts as failed. Throws when the request as a whole failed; then nothing is known of any entry, and all must be sent again.
 */
export async function sendWakeUps(client: QueueClient, queueUrl: string, wakeUps: readonly WakeUp[]): Promise<SendResult> {
  const answer = await client.send(
    new SendMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: wakeUps.map((wakeUp, index) => ({
        Id: String(index),
        MessageBody: wakeUp.body,
        DelaySeconds: wakeUp.delaySeconds,
        MessageGroupId: wakeUp.groupId,
      })),
    }),
  );
  const accepted = new Set((answer.Successful ?? []).map((entry) => Number(entry.Id)));
  const refused = new Set((answer.Failed ?? []).filter((entry) => entry.SenderFault === true).map((entry) => Number(entry.Id)));
  return {
    accepted: wakeUps.filter((_, index) => accepted.has(index)),
    refused: wakeUps.filter((_, index) => refused.has(index)),
    failed: wakeUps.filter((_, index) => !accepted.has(index) && !refused.has(index)),
  };
}
