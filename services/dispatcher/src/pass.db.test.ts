import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import { arrangeLeased, arrangeRun, arrangeSchedule, readRun } from "@downbeat/store/runs.test-support.ts";
import { arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { readSamples } from "@downbeat/testkit/metric-samples.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { Registry } from "@prometheus-io/client";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dispatcherConfig } from "./config.ts";
import { DispatcherMetrics } from "./dispatcher-metrics.ts";
import { runPass } from "./pass.ts";

let database: TestDatabase;
let sqs: TestQueueServer;
let queue: QueueClient;
let queueUrl: string;

beforeAll(async () => {
  database = await createTestDatabase();
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 16 });
});
afterAll(async () => {
  queue.destroy();
  await sqs.stop();
  await database.drop();
});
beforeEach(async () => {
  await database.admin`truncate downbeat.runs, downbeat.attempts, downbeat.run_events, downbeat.schedule_due, downbeat.dispatch_passes`;
  ({ queueUrl } = await createQueues(queue, sqs.queueName("pass"), 60));
});

/** One pass. A queue that is away is one whose name nobody knows. */
async function pass(settings: Record<string, string> = {}, isQueueAway = false) {
  const config = readConfig(dispatcherConfig, {
    LEASE_GRACE_SECONDS: "0",
    DATABASE_URL: database.url,
    SQS_QUEUE_URL: isQueueAway ? `${sqs.endpoint}/000000000000/no-such-queue` : queueUrl,
    ...settings,
  });
  const { log, lines } = captureLog();
  const clock = new ManualClock(Date.now());
  const sql = database.connectAs("downbeat_dispatcher");
  const registry = new Registry();
  const metrics = new DispatcherMetrics(registry);
  const options = { sql, queue, clock, log, config, metrics, dispatcher: "dispatcher-1", signal: new AbortController().signal };
  const [result] = await Promise.allSettled([runPass(options)]);
  return { result, lines, counted: await readSamples(registry) };
}

/** Schedules with a single occurrence, due so many ms from now. */
async function scheduleOnce(count: number, inMs = 0): Promise<void> {
  const dueAt = Math.floor(await databaseNow(database.admin)) + inMs;
  const endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  await arrangeSchedules(database.admin, endpoint, { rule: { kind: "once", runAt: dueAt }, nextRunAt: dueAt, count });
}

const states = async () => {
  const rows = await database.admin<
    { state: string; count: number }[]
  >`select state, count(*)::int as count from downbeat.runs group by state`;
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};

const recorded = async () => [
  ...(await database.admin`select dispatcher, claimed, missed, sent, send_failed as "sendFailed", swept, error from downbeat.dispatch_passes`),
];

/** What was counted of one pass: how it ended, and its runs. */
const countedOf = (counted: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(counted).filter(([series]) => /^downbeat_pass(es|_runs)_total|^downbeat_pass_duration_seconds_count/.test(series)),
  );

test("a pass claims what is due before the horizon in batches, sends it, and leaves one log line and one row", async () => {
  await scheduleOnce(25);
  await scheduleOnce(1, 60_000);
  await scheduleOnce(1, 90_000);
  const { result, lines, counted } = await pass({ CLAIM_BATCH: "10" });
  const counts = { claimed: 26, missed: 0, sent: 26, sendFailed: 0, swept: 0 };
  expect(result).toEqual({ status: "fulfilled", value: counts });
  expect(await states()).toEqual({ queued: 26 });
  const { visible, delayed } = await queueDepth(queue, queueUrl);
  expect([visible > 0, delayed]).toEqual([true, 1]);
  expect(await recorded()).toEqual([{ ...counts, dispatcher: "dispatcher-1", error: null }]);
  expect(lines).toMatchObject([{ ...counts, level: "info", msg: "pass", dispatcher: "dispatcher-1" }]);
  expect(countedOf(counted)).toEqual({
    downbeat_pass_duration_seconds_count: 1,
    'downbeat_passes_total{result="ok"}': 1,
    'downbeat_passes_total{result="error"}': 0,
    'downbeat_pass_runs_total{result="claimed"}': 26,
    'downbeat_pass_runs_total{result="missed"}': 0,
    'downbeat_pass_runs_total{result="sent"}': 26,
    'downbeat_pass_runs_total{result="send_failed"}': 0,
    'downbeat_pass_runs_total{result="swept"}': 0,
  });
});

test("a pass with nothing to do says so only at debug level", async () => {
  const { result, lines } = await pass();
  expect(result).toMatchObject({ status: "fulfilled", value: { claimed: 0, sent: 0, swept: 0 } });
  expect(lines.map(({ level }) => level)).toEqual(["debug"]);
});

test("a second pass sends nothing twice", async () => {
  await scheduleOnce(5);
  await pass();
  expect((await pass()).result).toMatchObject({ value: { claimed: 0, sent: 0, swept: 0 } });
});

test("a pass sweeps what others left behind: sends what can be sent, and gives up what cannot", async () => {
  const schedule = await arrangeSchedule(database.admin);
  const [unsent, retry, lost, orphan, hopeless] = [
    await arrangeRun(database.admin, schedule, { state: "pending", sweepInMs: -1 }),
    await arrangeRun(database.admin, schedule, { state: "retrying", attempt: 1, sweepInMs: -1 }),
    await arrangeRun(database.admin, schedule, { state: "queued", dueInMs: -600_000, sweepInMs: -1 }),
    await arrangeLeased(database.admin, schedule, { sweepInMs: -1 }),
    await arrangeRun(database.admin, schedule, { state: "queued", redrives: 5, sweepInMs: -1 }),
  ];
  const { result, counted } = await pass({ CLAIM_BATCH: "2" });
  expect(result).toMatchObject({ status: "fulfilled", value: { swept: 5, sent: 4, claimed: 0 } });
  expect(counted['downbeat_pass_runs_total{result="swept"}']).toBe(5);
  for (const run of [unsent, retry, lost, orphan]) expect((await readRun(database.admin, run)).state).toBe("queued");
  expect(await readRun(database.admin, hopeless)).toMatchObject({ state: "failed", reason: "lost_in_queue" });
});

test("when the queue is away the pass fails and is recorded as failed; what it claimed stays pending for the next one", async () => {
  await scheduleOnce(15);
  const { result, lines, counted } = await pass({}, true);
  expect(result).toMatchObject({ status: "rejected", reason: { name: "SendError" } });
  expect(await states()).toEqual({ pending: 15 });
  expect(await recorded()).toMatchObject([{ claimed: 15, sent: 0, sendFailed: 15, error: expect.stringMatching(/./) }]);
  expect(lines).toMatchObject([{ msg: "pass", claimed: 15, sent: 0 }]);
  expect(countedOf(counted)).toMatchObject({
    downbeat_pass_duration_seconds_count: 1,
    'downbeat_passes_total{result="ok"}': 0,
    'downbeat_passes_total{result="error"}': 1,
    'downbeat_pass_runs_total{result="claimed"}': 15,
    'downbeat_pass_runs_total{result="send_failed"}': 15,
  });

  await database.admin`update downbeat.runs set sweep_at = now()`;
  expect((await pass()).result).toMatchObject({ status: "fulfilled", value: { claimed: 0, swept: 15, sent: 15 } });
});

test("when Postgres is away the pass fails with what Postgres said", async () => {
  const gone = database.connectAs("downbeat_dispatcher", 1);
  await gone.end();
  const config = readConfig(dispatcherConfig, { DATABASE_URL: database.url, SQS_QUEUE_URL: queueUrl });
  const { log } = captureLog();
  const options = {
    sql: gone,
    queue,
    clock: new ManualClock(0),
    log,
    config,
    dispatcher: "dispatcher-1",
    signal: new AbortController().signal,
  };
  await expect(runPass(options)).rejects.toMatchObject({ code: "CONNECTION_ENDED" });
});

test("a pass that is told to stop ends after the batch it is in", async () => {
  await scheduleOnce(25);
  const config = readConfig(dispatcherConfig, { DATABASE_URL: database.url, SQS_QUEUE_URL: queueUrl, CLAIM_BATCH: "10" });
  const { log } = captureLog();
  const sql = database.connectAs("downbeat_dispatcher");
  const result = await runPass({
    sql,
    queue,
    clock: new ManualClock(0),
    log,
    config,
    dispatcher: "dispatcher-1",
    signal: AbortSignal.abort(),
  });
  expect(result).toMatchObject({ claimed: 10, sent: 10 });
  expect(await states()).toEqual({ queued: 10 });
});
