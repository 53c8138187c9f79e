import { randomUUID } from "node:crypto";
import { DeleteQueueCommand, GetQueueAttributesCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { QueueClient } from "./client.ts";
import { createQueues, type Queues } from "./create-queues.ts";
import { changeVisibility, deleteMessages } from "./message-batches.ts";
import { packWakeUps } from "./pack-wake-ups.ts";
import { queueDepth } from "./queue-depth.ts";
import { type QueueMessage, receiveMessages } from "./receive-messages.ts";
import { sendWakeUps } from "./send-wake-ups.ts";
import { decodeWakeUp, type RunRef } from "./wake-up.ts";

export interface QueueServer {
  client: QueueClient;
  stop(): Promise<void>;
}

/** What Downbeat needs of a queue server. Every server it is run against must hold to this: the embedded one, other emulators, AWS. */
export function queueContract(serverName: string, start: () => Promise<QueueServer>): void {
  describe(`the queue server ${serverName}`, () => {
    let server: QueueServer;
    let client: QueueClient;
    const made: Queues[] = [];

    beforeAll(async () => {
      server = await start();
      client = server.client;
    });
    afterAll(async () => {
      for (const QueueUrl of made.flatMap(({ queueUrl, deadLetterQueueUrl }) => [queueUrl, deadLetterQueueUrl])) {
        await client.send(new DeleteQueueCommand({ QueueUrl }));
      }
      client.destroy();
      await server.stop();
    });

    async function makeQueue(name = `downbeat-${randomUUID()}`, visibilitySeconds = 60): Promise<Queues> {
      const queues = await createQueues(client, name, visibilitySeconds);
      made.push(queues);
      return queues;
    }

    async function attributesOf(QueueUrl: string): Promise<Record<string, string>> {
      return (await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))).Attributes ?? {};
    }

    function receive(queueUrl: string, options: { waitSeconds?: number; visibilitySeconds?: number; signal?: AbortSignal } = {}) {
      const { waitSeconds = 0, visibilitySeconds = 60, signal = new AbortController().signal } = options;
      return receiveMessages({ client, queueUrl, visibilitySeconds, waitSeconds, signal });
    }

    async function send(queueUrl: string, refs: readonly RunRef[], delaySeconds = 0): Promise<void> {
      const wakeUps = packWakeUps(
        refs.map((ref) => ({ ...ref, delaySeconds })),
        20,
      );
      expect(await sendWakeUps(client, queueUrl, wakeUps)).toMatchObject({ accepted: wakeUps, failed: [], refused: [] });
    }

    test("the queue, its dead-letter queue and the redrive policy between them are made, and making them again changes nothing", async () => {
      const name = `downbeat-${randomUUID()}`;
      const first = await makeQueue(name);
      const before = await attributesOf(first.queueUrl);
      const deadLetters = await attributesOf(first.deadLetterQueueUrl);
      expect(before).toMatchObject({ VisibilityTimeout: "60", MessageRetentionPeriod: "1209600" });
      expect(JSON.parse(before["RedrivePolicy"] ?? "")).toMatchObject({ deadLetterTargetArn: deadLetters["QueueArn"] });
      expect(Number(JSON.parse(before["RedrivePolicy"] ?? "").maxReceiveCount)).toBe(20);
      expect(deadLetters["MessageRetentionPeriod"]).toBe("1209600");

      expect(await createQueues(client, name, 60)).toEqual(first);
      const after = await attributesOf(first.queueUrl);
      expect(after).toEqual({ ...before, LastModifiedTimestamp: after["LastModifiedTimestamp"] });
    });

    test("a queue that exists with other settings is brought to these, and keeps its messages", async () => {
      const name = `downbeat-${randomUUID()}`;
      const { queueUrl } = await makeQueue(name, 30);
      const [ref] = newRefs(1) as [RunRef];
      await send(queueUrl, [ref]);
      await createQueues(client, name, 90);
      expect((await attributesOf(queueUrl))["VisibilityTimeout"]).toBe("90");
      expect(decodeWakeUp(onlyOne(await receive(queueUrl)).body)).toEqual({ isReadable: true, refs: [ref] });
    });

    test("runs come out as they went in, each once, and a deleted message is gone", async () => {
      const { queueUrl } = await makeQueue();
      const refs = newRefs(10);
      await send(queueUrl, refs);
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 10, inFlight: 0, delayed: 0 });
      const messages: QueueMessage[] = [];
      while (messages.length < 10) messages.push(...(await receive(queueUrl)));
      const received = messages.flatMap(({ body }) => {
        const decoded = decodeWakeUp(body);
        return decoded.isReadable ? decoded.refs : [];
      });
      expect(received.toSorted(byRun)).toEqual(refs.toSorted(byRun));
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 0, inFlight: 10, delayed: 0 });
      expect(
        await deleteMessages(
          client,
          queueUrl,
          messages.map(({ receiptHandle }) => receiptHandle),
        ),
      ).toBe(0);
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
    });

    test("whether it knows fair queues or not, messages of several tenants all get in, and a refusal of their groups is news once", async () => {
      const { queueUrl } = await makeQueue();
      const wakeUps = packWakeUps(
        newRefs(6).map((ref) => ({ ...ref, delaySeconds: 0 })),
        1,
      );
      const news: boolean[] = [];
      for (const batch of [wakeUps.slice(0, 3), wakeUps.slice(3)]) {
        const { isGroupRefusalNew, ...result } = await sendWakeUps(client, queueUrl, batch);
        expect(result).toEqual({ accepted: batch, failed: [], refused: [] });
        news.push(isGroupRefusalNew);
      }
      expect(news[1]).toBe(false);
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 6, inFlight: 0, delayed: 0 });
    });

    test("a message with a delay is kept back, and counted as delayed", async () => {
      const { queueUrl } = await makeQueue();
      await send(queueUrl, newRefs(1), 900);
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 0, inFlight: 0, delayed: 1 });
      expect(await receive(queueUrl)).toEqual([]);
    });

    test("a received message is hidden from others, and handed back with visibility 0 it comes again at once, under another receipt", async () => {
      const { queueUrl } = await makeQueue();
      await send(queueUrl, newRefs(1));
      const first = onlyOne(await receive(queueUrl));
      expect(await receive(queueUrl)).toEqual([]);
      expect(await changeVisibility(client, queueUrl, [{ receiptHandle: first.receiptHandle, visibilitySeconds: 0 }])).toBe(0);
      const again = onlyOne(await receive(queueUrl, { waitSeconds: 5 }));
      expect(again).toMatchObject({ messageId: first.messageId, body: first.body });
      expect(again.receiptHandle).not.toBe(first.receiptHandle);
    });

    test("a message may be handed back for later, and one of a batch differently from another", async () => {
      const { queueUrl } = await makeQueue();
      await send(queueUrl, newRefs(2));
      const messages: QueueMessage[] = [];
      while (messages.length < 2) messages.push(...(await receive(queueUrl)));
      const [later, now] = messages as [QueueMessage, QueueMessage];
      const changes = [
        { receiptHandle: later.receiptHandle, visibilitySeconds: 3_600 },
        { receiptHandle: now.receiptHandle, visibilitySeconds: 0 },
      ];
      expect(await changeVisibility(client, queueUrl, changes)).toBe(0);
      expect(onlyOne(await receive(queueUrl, { waitSeconds: 5 })).messageId).toBe(now.messageId);
      expect(await receive(queueUrl)).toEqual([]);
    });

    test("a receipt that means nothing is counted as refused, and costs the others of its batch nothing", async () => {
      const { queueUrl } = await makeQueue();
      await send(queueUrl, newRefs(1));
      const { receiptHandle } = onlyOne(await receive(queueUrl));
      expect(await changeVisibility(client, queueUrl, [{ receiptHandle: "no such receipt", visibilitySeconds: 0 }])).toBe(1);
      expect(await deleteMessages(client, queueUrl, ["no such receipt", receiptHandle])).toBeLessThanOrEqual(1);
      expect(await queueDepth(client, queueUrl)).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
    });

    test("a long poll answers as soon as a message comes", async () => {
      const { queueUrl } = await makeQueue();
      const polled = receive(queueUrl, { waitSeconds: 20 });
      const refs = newRefs(1);
      await send(queueUrl, refs);
      expect(decodeWakeUp(onlyOne(await polled).body)).toEqual({ isReadable: true, refs });
    });

    test("a long poll is ended by its signal", async () => {
      const { queueUrl } = await makeQueue();
      const stop = new AbortController();
      const polled = receive(queueUrl, { waitSeconds: 20, signal: stop.signal });
      stop.abort();
      await expect(polled).rejects.toMatchObject({ name: "AbortError" });
    });

    test("a message that comes back for ever ends in the dead-letter queue", async () => {
      const { queueUrl, deadLetterQueueUrl } = await makeQueue();
      await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: "poison" }));
      for (let receives = 1; receives <= 20; receives += 1) {
        const { receiptHandle } = onlyOne(await receive(queueUrl, { waitSeconds: 5 }));
        await changeVisibility(client, queueUrl, [{ receiptHandle, visibilitySeconds: 0 }]);
      }
      expect(await receive(queueUrl)).toEqual([]);
      expect(onlyOne(await receive(deadLetterQueueUrl, { waitSeconds: 5 })).body).toBe("poison");
    });
  });
}

function newRefs(count: number): RunRef[] {
  return Array.from({ length: count }, () => ({ tenantId: randomUUID(), runId: randomUUID() }));
}

function onlyOne(messages: readonly QueueMessage[]): QueueMessage {
  const [message] = messages;
  if (message === undefined || messages.length > 1) throw new Error(`expected one message, got ${messages.length}`);
  return message;
}

function byRun(a: RunRef, b: RunRef): number {
  return a.runId < b.runId ? -1 : 1;
}
