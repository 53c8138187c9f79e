import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createQueueClient } from "@downbeat/queue/client.ts";
import type { QueueMessage } from "@downbeat/queue/receive-messages.ts";
import { Outage } from "@downbeat/runtime/back-off.ts";
import { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { onTestFinished, expect, test } from "vitest";
import { receiveLoop } from "./receive-loop.ts";

/** A loop whose only poll is open at a queue server that answers it when the test says so. */
async function openPoll() {
  const polls: ((messages: object[]) => void)[] = [];
  const opened = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    await request.toArray();
    polls.push((Messages) => response.setHeader("content-type", "application/x-amz-json-1.0").end(JSON.stringify({ Messages })));
    opened.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const queue = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 1 });
  onTestFinished(() => {
    queue.destroy();
    server.closeAllConnections();
    server.close();
  });
  const [stop, broken] = [new AbortController(), new AbortController()];
  const { log, lines } = captureLog();
  const clock = new ManualClock(0);
  const received: QueueMessage[] = [];
  const ended = receiveLoop({
    queue,
    queueUrl: `${endpoint}/000000000000/runs`,
    visibilitySeconds: 60,
    waitSeconds: 20,
    clock,
    random: () => 0,
    log,
    signal: stop.signal,
    broken: broken.signal,
    progress: new LoopProgress(clock),
    outage: new Outage(),
    room: async () => {},
    onMessages: (messages) => received.push(...messages),
  });
  await opened.promise;
  return { polls, stop, broken, received, ended, lines };
}

test("told to stop, it takes what the open poll still brings, so that nothing stays hidden at the server, and polls no more", async () => {
  const { polls, stop, received, ended, lines } = await openPoll();
  stop.abort();
  polls[0]?.([{ MessageId: "m1", ReceiptHandle: "r1", Body: "{}" }]);
  await ended;
  expect(received).toEqual([{ messageId: "m1", receiptHandle: "r1", body: "{}" }]);
  expect(polls).toHaveLength(1);
  expect(lines).toEqual([]);
});

test("an open poll that has to be broken off ends the loop at once, and is no outage to report", async () => {
  const { stop, broken, received, ended, lines } = await openPoll();
  stop.abort();
  broken.abort();
  await ended;
  expect(received).toEqual([]);
  expect(lines).toEqual([]);
});
