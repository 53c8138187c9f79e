import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { StoppedError } from "@downbeat/runtime/back-off.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { arrangeEndpoint, arrangeSchedules } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dispatcherConfig } from "./config.ts";
import { dispatchLoop } from "./dispatch-loop.ts";
import { passingLiveness } from "./passing-liveness.ts";
import { WakeSignal } from "./wake-signal.ts";

let database: TestDatabase;
let sqs: TestQueueServer;
let queue: QueueClient;
let queueUrl: string;

beforeAll(async () => {
  database = await createTestDatabase();
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 4 });
  ({ queueUrl } = await createQueues(queue, sqs.queueName("dispatch-loop"), 60));
});
afterAll(async () => {
  queue.destroy();
  await sqs.stop();
  await database.drop();
});
beforeEach(async () => {
  await database.admin`truncate downbeat.dispatch_passes, downbeat.schedule_due, downbeat.runs`;
});

/** A loop with passes every 5 s on a clock that stands still until it is moved. */
function start(settings: Record<string, string>) {
  const config = readConfig(dispatcherConfig, {
    DATABASE_URL: database.url,
    SQS_QUEUE_URL: queueUrl,
    PASS_INTERVAL_MS: "5000",
    ...settings,
  });
  const startedAt = Date.now();
  const clock = new ManualClock(startedAt);
  const { log, lines } = captureLog();
  const stop = new AbortController();
  const wake = new WakeSignal();
  const sql = database.connectAs("downbeat_dispatcher");
  const progress = new LoopProgress(clock);
  const ended = dispatchLoop({ sql, queue, clock, random: () => 0, log, config, progress, dispatcher: "d", signal: stop.signal, wake });
  ended.catch(() => {});
  // The minute's end, unless there is none, and the loop itself.
  const sleepers = config.DISPATCH_FOR_SECONDS === "forever" ? 1 : 2;
  return {
    stop,
    wake,
    lines,
    ended,
    liveness: () => passingLiveness(progress, stop.signal),
    clock,
    /** Lets time go by, then waits until the loop has done what was due and sleeps again. */
    async advance(...steps: number[]): Promise<void> {
      for (const ms of [0, ...steps]) {
        clock.advance(ms);
        await until("the loop to rest", () => clock.sleeping === sleepers, { everyMs: 1 });
      }
    },
    /** The last step: what is due then may end the loop. */
    finish: (ms: number) => clock.advance(ms),
    /** When passes were made, in ms from the start. */
    async passes(): Promise<number[]> {
      const rows = await database.admin<{ at: number }[]>`
        select (extract(epoch from started_at) * 1000)::float8 as at from downbeat.dispatch_passes order by 1`;
      return rows.map(({ at }) => Math.round(at - startedAt));
    },
  };
}

test("passes come at whole intervals from the start, until the time is up", async () => {
  const loop = start({ DISPATCH_FOR_SECONDS: "12" });
  await loop.advance(100, 4_900, 100, 4_900, 100);
  loop.finish(1_900);
  await loop.ended;
  expect(await loop.passes()).toEqual([0, 5_000, 10_000]);
});

test("a ring makes a pass at once, and the ordinary passes stay where they are", async () => {
  const loop = start({ DISPATCH_FOR_SECONDS: "forever" });
  await loop.advance(100, 900);
  loop.wake.ring();
  await loop.advance(0, 100, 3_900);
  expect(await loop.passes()).toEqual([0, 1_000, 5_000]);
  loop.stop.abort();
  await loop.ended;
});

test("a burst of rings is one pass, and not sooner than a tenth of a second after the last", async () => {
  const loop = start({ DISPATCH_FOR_SECONDS: "forever" });
  await loop.advance();
  for (let ring = 0; ring < 50; ring += 1) loop.wake.ring();
  await loop.advance(99);
  expect(await loop.passes()).toEqual([0]);
  await loop.advance(1, 100);
  expect(await loop.passes()).toEqual([0, 100]);
  loop.stop.abort();
  await loop.ended;
});

test("the signal ends the loop in the middle of a wait", async () => {
  const loop = start({ DISPATCH_FOR_SECONDS: "60" });
  await loop.advance(100);
  loop.stop.abort();
  await loop.ended;
  expect(await loop.passes()).toEqual([0]);
});

test("without a time there is exactly one pass, and its failure is the process's", async () => {
  const loop = start({ DISPATCH_FOR_SECONDS: "0" });
  await loop.ended;
  expect(await loop.passes()).toEqual([0]);
  await scheduleOne();
  await expect(start({ DISPATCH_FOR_SECONDS: "0", SQS_QUEUE_URL: `${sqs.endpoint}/0/gone` }).ended).rejects.toMatchObject({
    name: "SendError",
  });
});

/** Something to send: a pass without it does not notice that the queue is away. */
async function scheduleOne(): Promise<void> {
  const endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  await arrangeSchedules(database.admin, endpoint, { rule: { kind: "once", runAt: Date.now() }, nextRunAt: Date.now() });
}

const overdueNow = () => database.admin`update downbeat.runs set sweep_at = now()`;

test("an outage of the queue is waited out, with one line a step, and what was claimed meanwhile is sent when it is over", async () => {
  await scheduleOne();
  const lateQueue = sqs.queueName("late-queue");
  const settings = { DISPATCH_FOR_SECONDS: "forever", SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/${lateQueue}` };
  const loop = start(settings);
  for (const waitMs of [500, 1_000]) {
    await loop.advance();
    await overdueNow();
    await loop.advance(waitMs);
  }
  await createQueues(queue, lateQueue, 60);
  await overdueNow();
  await loop.advance(2_000, 100);
  loop.stop.abort();
  await loop.ended;
  const story = loop.lines.filter(({ action }) => action === "dispatch").map(({ level, failures }) => [level, failures]);
  expect(story).toEqual([
    ["warn", 1],
    ["warn", 2],
    ["warn", 3],
    ["info", 3],
  ]);
  expect(await database.admin`select state from downbeat.runs`).toMatchObject([{ state: "queued" }]);
});

test("a dispatcher is alive as long as it tries, also through half an hour without the queue; one that has stopped trying is not", async () => {
  await scheduleOne();
  const loop = start({ DISPATCH_FOR_SECONDS: "forever", SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/never-there` });
  for (let waitedMs = 0; waitedMs < 1_800_000; waitedMs += 60_000) {
    await overdueNow();
    await loop.advance(60_000);
    expect(loop.liveness()).toEqual({ isAlive: true, reason: "passing" });
  }
  // Holds the next pass at its first statement.
  const blocker = await database.admin.reserve();
  try {
    await blocker`begin`;
    await blocker`lock table downbeat.runs in access exclusive mode`;
    loop.clock.advance(20_000);
    await until("the loop to hang", () => loop.clock.sleeping === 0, { everyMs: 1 });
    expect(loop.liveness().isAlive).toBe(true);
    loop.clock.advance(20 * 60_000 + 1);
    expect(loop.liveness()).toEqual({ isAlive: false, reason: "no pass has been tried for 1200 s" });
    loop.stop.abort();
    expect(loop.liveness()).toEqual({ isAlive: true, reason: "draining" });
  } finally {
    await blocker`rollback`;
    blocker.release();
  }
  await loop.ended;
});

test("a minute that ends during an outage has failed, so that the Job counts as failed", async () => {
  await scheduleOne();
  const loop = start({ DISPATCH_FOR_SECONDS: "5", SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/no-queue`, PUBLISH_TIMEOUT_MS: "100" });
  await loop.advance();
  await overdueNow();
  await loop.advance(500);
  loop.finish(4_500);
  await expect(loop.ended).rejects.toThrow(StoppedError);
});

test("to be told to stop during an outage is no failure", async () => {
  await scheduleOne();
  const loop = start({ DISPATCH_FOR_SECONDS: "60", SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/no-queue` });
  await loop.advance();
  loop.stop.abort();
  expect(await loop.ended).toBeUndefined();
});

test("a dispatcher that lives for days goes on making the partitions of the days to come", async () => {
  const lastPartition = async () => {
    const [row] = await database.admin<{ name: string }[]>`
      select max(inhrelid::regclass::text) as name from pg_inherits where inhparent = 'downbeat.runs'::regclass`;
    return row?.name ?? "";
  };
  const loop = start({ DISPATCH_FOR_SECONDS: "forever" });
  await loop.advance(100);
  const newest = await lastPartition();
  // As if another day had come and its partition were missing.
  await database.admin.unsafe(`drop table ${newest}`);
  await loop.advance(4_900, 100);
  expect(await lastPartition()).not.toBe(newest);
  // An hour after the last look it looks again.
  await loop.advance(3_600_000);
  expect(await lastPartition()).toBe(newest);
  loop.stop.abort();
  await loop.ended;
});

test("making a partition waits for nobody who reads the ledger, and nobody waits for it", async () => {
  const reader = await database.admin.reserve();
  try {
    await reader`begin`;
    await reader`select count(*) from downbeat.runs`;
    const dispatcher = database.connectAs("downbeat_dispatcher", 1);
    await dispatcher`set lock_timeout = '2s'`;
    const [made] = await dispatcher`select downbeat.ensure_run_partitions(now() + interval '30 days', now() + interval '30 days') as days`;
    expect(made).toMatchObject({ days: 1 });
  } finally {
    await reader`rollback`;
    reader.release();
  }
});
