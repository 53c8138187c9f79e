import type { QueueClient } from "@downbeat/queue/client.ts";
import { type QueueDepth, queueDepth } from "@downbeat/queue/queue-depth.ts";

export interface QueueToTell {
  client: QueueClient;
  /** Of the queue between dispatcher and executors; its dead-letter queue's is the same with `-dlq`. */
  url: string;
}

/** Undefined: could not be read. */
export interface QueueDepths {
  main: QueueDepth | undefined;
  deadLetter: QueueDepth | undefined;
}

/** Two requests, given up after `msMax`. Never rejects: a queue that is away is an answer, and why it is away is told by those who need it. */
export async function readQueues({ client, url }: QueueToTell, msMax: number): Promise<QueueDepths> {
  const signal = AbortSignal.timeout(msMax);
  const read = (queueUrl: string) => queueDepth(client, queueUrl, signal).catch(() => undefined);
  const [main, deadLetter] = await Promise.all([read(url), read(`${url}-dlq`)]);
  return { main, deadLetter };
}
