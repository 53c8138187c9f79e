import { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import type { QueueClient } from "./client.ts";
import { isGroupRefusal, queuesWithoutGroups } from "./group-refusal.ts";
import type { WakeUp } from "./pack-wake-ups.ts";

export interface SendResult {
  accepted: WakeUp[];
  /** Not taken this time (the server's fault, or no answer for the entry): worth sending again. */
  failed: WakeUp[];
  /** Refused because of what they are: sending them again would fail again. */
  refused: WakeUp[];
  /** True for the one send that found out that the server does not know fair queues. */
  isGroupRefusalNew: boolean;
}

/**
 * One `SendMessageBatch` of up to ten messages. Results are read entry by entry, because a batch that answers 200 may have lost some (rule D6): an entry in neither
 * list counts as failed. Throws when the request as a whole failed; then nothing is known of any entry, and all must be sent again.
 *
 * Each message names its tenant as its fair-queue group. A server that refuses groups on a standard queue gets what it refused once more without them, and no group ever again.
 */
export async function sendWakeUps(client: QueueClient, queueUrl: string, wakeUps: readonly WakeUp[]): Promise<SendResult> {
  const withoutGroups = queuesWithoutGroups(client);
  const { groupRefused, ...first } = await sendBatch(client, queueUrl, wakeUps, !withoutGroups.has(queueUrl));
  if (groupRefused.length === 0) return { ...first, isGroupRefusalNew: false };
  const second = await sendBatch(client, queueUrl, groupRefused, false).catch((error: unknown) => {
    // What the server took the first time is sent, whatever becomes of the rest.
    if (first.accepted.length === 0) throw error;
    return { accepted: [], failed: groupRefused, refused: [] };
  });
  const isGroupRefusalNew = !withoutGroups.has(queueUrl);
  withoutGroups.add(queueUrl);
  return {
    accepted: [...first.accepted, ...second.accepted],
    failed: [...first.failed, ...second.failed],
    refused: [...first.refused, ...second.refused],
    isGroupRefusalNew,
  };
}

interface BatchResult extends Omit<SendResult, "isGroupRefusalNew"> {
  /** Refused for nothing but their group. */
  groupRefused: WakeUp[];
}

async function sendBatch(client: QueueClient, queueUrl: string, wakeUps: readonly WakeUp[], hasGroups: boolean): Promise<BatchResult> {
  const command = new SendMessageBatchCommand({
    QueueUrl: queueUrl,
    Entries: wakeUps.map((wakeUp, index) => ({
      Id: String(index),
      MessageBody: wakeUp.body,
      DelaySeconds: wakeUp.delaySeconds,
      ...(hasGroups ? { MessageGroupId: wakeUp.groupId } : {}),
    })),
  });
  const answer = await client.send(command).catch((error: unknown) => {
    if (hasGroups && isGroupRefusal((error as Error).name, (error as Error).message)) return undefined;
    throw error;
  });
  // Every entry had a group, so the server stopped at the first and took none.
  if (answer === undefined) return { accepted: [], failed: [], refused: [], groupRefused: [...wakeUps] };
  const accepted = new Set((answer.Successful ?? []).map((entry) => Number(entry.Id)));
  const faults = (answer.Failed ?? []).filter((entry) => entry.SenderFault === true);
  const refused = new Set(faults.map((entry) => Number(entry.Id)));
  const groupRefused = new Set(
    faults.filter(({ Code, Message }) => hasGroups && isGroupRefusal(Code, Message)).map((entry) => Number(entry.Id)),
  );
  return {
    accepted: wakeUps.filter((_, index) => accepted.has(index)),
    refused: wakeUps.filter((_, index) => refused.has(index) && !groupRefused.has(index)),
    failed: wakeUps.filter((_, index) => !accepted.has(index) && !refused.has(index)),
    groupRefused: wakeUps.filter((_, index) => groupRefused.has(index)),
  };
}
