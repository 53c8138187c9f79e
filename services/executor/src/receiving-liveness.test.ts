import { createQueueClient } from "@downbeat/queue/client.ts";
import { Outage } from "@downbeat/runtime/back-off.ts";
import { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { until } from "@downbeat/testkit/until.ts";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { receiveLoop } from "./receive-loop.ts";
import { receivingLiveness } from "./receiving-liveness.ts";

/** A receive loop whose queue is at `endpoint`. */
function start(endpoint: string, room: () => Promise<void> = async () => {}) {
  const clock = new ManualClock(0);
  const drain = new AbortController();
  const progress = new LoopProgress(clock);
  const queue = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 2 });
  const { log, lines } = captureLog();
  const ended = receiveLoop({
    queue,
    queueUrl: `${endpoint}/000000000000/runs`,
    visibilitySeconds: 60,
    waitSeconds: 20,
    clock,
    random: () => 0,
    log,
    signal: drain.signal,
    broken: drain.signal,
    progress,
    outage: new Outage(),
    room,
    onMessages: () => {},
  });
  return {
    clock,
    lines,
    /** Beside a loop that is well. */
    liveness: () => receivingLiveness([new LoopProgress(clock), progress], drain.signal),
    drain: () => drain.abort(),
    async end() {
      drain.abort();
      await ended;
      queue.destroy();
    },
  };
}

test("an executor without its queue is alive for as long as it tries", async () => {
  const loop = start("http://127.0.0.1:1");
  for (let waitedMs = 0; waitedMs < 600_000; waitedMs += 15_000) {
    await until("the loop to wait for its next try", () => loop.clock.sleeping === 1, { everyMs: 1 });
    expect(loop.liveness()).toEqual({ isAlive: true, reason: "receiving" });
    loop.clock.advance(15_000);
  }
  expect(loop.lines.length).toBeGreaterThan(10);
  await loop.end();
});

test("an executor whose rooms are full is alive however long they stay so, for example because Postgres is away", async () => {
  const full = Promise.withResolvers<void>();
  const loop = start("http://127.0.0.1:1", () => full.promise);
  loop.clock.advance(86_400_000);
  expect(loop.liveness().isAlive).toBe(true);
  full.resolve();
  await loop.end();
});

test("an executor of whose loops one has stuck in a receive is not alive after two minutes, unless it drains", async () => {
  const connected = Promise.withResolvers<void>();
  const silent = createServer((socket) => {
    socket.on("error", () => {});
    connected.resolve();
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  const loop = start(`http://127.0.0.1:${port}`);
  await connected.promise;
  loop.clock.advance(120_000);
  expect(loop.liveness().isAlive).toBe(true);
  loop.clock.advance(1_000);
  expect(loop.liveness()).toEqual({ isAlive: false, reason: "a receive loop has been silent for 121 s" });
  loop.drain();
  expect(loop.liveness()).toEqual({ isAlive: true, reason: "draining" });
  await loop.end();
  silent.close();
});
