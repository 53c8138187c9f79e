import type { QueueClient } from "./client.ts";

/**
 * Whether a server refused a message because a standard queue of its does not take `MessageGroupId`. AWS takes it since July 2025 (fair queues); servers that copy an older SQS answer
 * so for each entry (ElasticMQ 1.6.9, LocalStack 4.6) or for the request as a whole (moto 5.1.6), each in words of its own that agree in these.
 */
export function isGroupRefusal(code: string | undefined, message: string | undefined): boolean {
  return (
    code !== undefined &&
    message !== undefined &&
    /\bInvalidParameterValue(Exception)?$/.test(code) &&
    message.includes("MessageGroupId") &&
    message.includes("not valid for this queue type")
  );
}

const queuesByClient = new WeakMap<QueueClient, Set<string>>();

/** URLs of the queues that refused groups. Kept as long as the client, which is the life of the process: a server that learns fair queues is restarted, and so are we some day. */
export function queuesWithoutGroups(client: QueueClient): Set<string> {
  let queues = queuesByClient.get(client);
  if (queues === undefined) queuesByClient.set(client, (queues = new Set()));
  return queues;
}
