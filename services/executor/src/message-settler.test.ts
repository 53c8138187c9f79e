import { randomUUID } from "node:crypto";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { packWakeUps } from "@downbeat/queue/pack-wake-ups.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { receiveMessages } from "@downbeat/queue/receive-messages.ts";
import { sendWakeUps } from "@downbeat/queue/send-wake-ups.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { MessageSettler } from "./message-settler.ts";
import type { OpenMessage } from "./open-messages.ts";

let sqs: TestQueueServer;
let queue: QueueClient;
let queueUrl: string;
beforeAll(async () => {
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 4 });
});
afterAll(async () => {
  queue.destroy();
  await sqs.stop();
});
beforeEach(async () => {
  ({ queueUrl } = await createQueues(queue, sqs.queueName("settle"), 60));
});

function arrange(url = queueUrl) {
  const clock = new ManualClock(0);
  const { log, lines } = captureLog();
  return { clock, lines, settler: new MessageSettler({ queue, queueUrl: url, clock, log, visibilitySeconds: 60 }) };
}

/** So many messages in flight, as the executor holds them. */
async function receive(count: number, comeBackSeconds?: number): Promise<OpenMessage[]> {
  const runs = Array.from({ length: count }, () => ({ tenantId: randomUUID(), runId: randomUUID(), delaySeconds: 0 }));
  const wakeUps = packWakeUps(runs, 1);
  for (let sent = 0; sent < count; sent += 10) await sendWakeUps(queue, queueUrl, wakeUps.slice(sent, sent + 10));
  const messages: OpenMessage[] = [];
  while (messages.length < count) {
    const received = await receiveMessages({
      client: queue,
      queueUrl,
      visibilitySeconds: 60,
      waitSeconds: 0,
      signal: new AbortController().signal,
    });
    messages.push(...received.map((message) => ({ message, open: 1, comeBackSeconds })));
  }
  return messages;
}

const depth = () => queueDepth(queue, queueUrl);

test("settled messages are deleted in tens, at once", async () => {
  const { settler } = arrange();
  for (const message of await receive(20)) settler.settle(message);
  await settler.drained();
  expect(await depth()).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
});

test("fewer than ten wait for others a moment, not for ever", async () => {
  const { settler, clock } = arrange();
  const messages = await receive(3);
  for (const message of messages) settler.settle(message);
  clock.advance(49);
  expect(await depth()).toMatchObject({ inFlight: 3 });
  clock.advance(1);
  await settler.drained();
  expect(await depth()).toMatchObject({ visible: 0, inFlight: 0 });
});

test("a message that has to come again is given back and not deleted: at once, or later", async () => {
  const { settler } = arrange();
  for (const message of [...(await receive(1, 0)), ...(await receive(1, 3_600))]) settler.settle(message);
  await settler.drained();
  expect(await depth()).toEqual({ visible: 1, inFlight: 1, delayed: 0 });
});

test("messages are kept hidden while their runs are under way, however many there are", async () => {
  const { settler, lines } = arrange();
  const messages = await receive(25);
  await settler.keepHidden(messages);
  expect(lines).toEqual([]);
  expect(await depth()).toEqual({ visible: 0, inFlight: 25, delayed: 0 });
});

test("when the queue is away nothing fails: the messages come back by themselves, and a line says what could not be done", async () => {
  const messages = [...(await receive(1)), ...(await receive(1, 0))];
  const { settler, lines } = arrange(`${sqs.endpoint}/000000000000/no-such-queue`);
  for (const message of messages) settler.settle(message);
  await settler.drained();
  await settler.keepHidden(messages);
  expect(lines.map(({ level, msg }) => [level, msg.replace(/:.*/s, "")]).sort()).toEqual([
    ["warn", "cannot delete messages"],
    ["warn", "cannot give messages back"],
    ["warn", "cannot keep messages hidden"],
  ]);
});

test("during an outage of the queue one line now and then says so, not one for each batch", async () => {
  const { settler, lines, clock } = arrange(`${sqs.endpoint}/000000000000/no-such-queue`);
  const messages = await receive(10);
  for (const waitMs of [0, 14_999, 1]) {
    clock.advance(waitMs);
    for (const message of messages) settler.settle(message);
    await settler.drained();
  }
  expect(lines.map(({ msg }) => msg.replace(/:.*/s, ""))).toEqual(["cannot delete messages", "cannot delete messages"]);
});
