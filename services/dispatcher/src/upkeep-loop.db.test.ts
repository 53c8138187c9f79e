import { readConfig } from "@downbeat/runtime/config.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { takeTurn } from "@downbeat/store/take-turn.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dispatcherConfig } from "./config.ts";
import { runDispatcher } from "./run.ts";
import { upkeepLoop, type UpkeepJob } from "./upkeep-loop.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin`truncate downbeat.system_state, downbeat.audit_passes`;
});

/** The loop on a clock that stands still until it is moved, and the looks that were taken. */
function start(stepsOf: Record<string, () => Promise<object | null>>) {
  const clock = new ManualClock(0);
  const { log, lines } = captureLog();
  const stop = new AbortController();
  const looks: string[] = [];
  const jobs = Object.entries(stepsOf).map(([name, step]): UpkeepJob => {
    const runOnce = () => {
      looks.push(`${name} ${clock.now()}`);
      return step();
    };
    return { name, runOnce };
  });
  const ended = upkeepLoop({ sql: database.connectAs("downbeat_dispatcher", 1), clock, log, dispatcher: "d1", signal: stop.signal, jobs });
  const rest = () => until("the loop to rest", () => clock.sleeping === 1, { everyMs: 1 });
  return {
    lines,
    looks,
    stop,
    ended,
    rest,
    async advance(ms: number) {
      await rest();
      clock.advance(ms);
    },
  };
}

/** A job that has work for so many steps. */
function working(steps: number): () => Promise<object | null> {
  let left = steps;
  return () => Promise.resolve((left -= 1) >= 0 ? {} : null);
}

test("what is due is worked off step by step, and looked for again a minute later", async () => {
  const loop = start({ zones: working(0), audit: working(3) });
  await loop.advance(59_999);
  expect(loop.looks).toEqual(["zones 0", "audit 0", "audit 0", "audit 0", "audit 0"]);
  await loop.advance(1);
  await loop.rest();
  expect(loop.looks.slice(5)).toEqual(["zones 60000", "audit 60000"]);
  loop.stop.abort();
  await loop.ended;
});

test("a step that fails is one error line; the other jobs go on, and it is looked at again", async () => {
  const loop = start({ zones: () => Promise.reject(new Error("no such zone")), audit: working(1) });
  await loop.advance(60_000);
  await loop.rest();
  expect(loop.looks).toEqual(["zones 0", "audit 0", "audit 0", "zones 60000", "audit 60000"]);
  expect(loop.lines).toMatchObject([
    { level: "error", msg: "cannot zones: no such zone" },
    { level: "error", msg: "cannot zones: no such zone" },
  ]);
  loop.stop.abort();
  await loop.ended;
});

test("an outage of Postgres is told by the passes, not once more by each job", async () => {
  const loop = start({ audit: () => Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" })) });
  await loop.rest();
  expect(loop.lines).toMatchObject([{ level: "debug" }]);
  loop.stop.abort();
  await loop.ended;
});

test("the end of a dispatcher frees its turn, so that the next one goes on at once", async () => {
  const admin = database.connectAs("downbeat_dispatcher", 1);
  const turn = (holder: string) => takeTurn(admin, { key: "audit", holder, subject: "", everyMs: 3_600_000 });
  expect(await turn("d1")).not.toBeNull();
  expect(await turn("d2")).toBeNull();
  const loop = start({ audit: working(0) });
  await loop.rest();
  loop.stop.abort();
  await loop.ended;
  expect(await turn("d2")).not.toBeNull();
});

test("a dispatcher audits beside its passes, one of a single pass after it; neither where it is switched off", async () => {
  const sqs = await startQueueServer();
  const queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 1 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("upkeep"), 60);
  const run = (settings: Record<string, string>) => {
    const environment = { DATABASE_URL: database.url, SQS_QUEUE_URL: queueUrl, AWS_ENDPOINT_URL: sqs.endpoint, ...settings };
    return runDispatcher(readConfig(dispatcherConfig, environment), { log: captureLog().log });
  };
  const audits = async () => (await database.admin`select from downbeat.audit_passes`).length;

  const off = await run({ DISPATCH_FOR_SECONDS: "0", AUDIT_EVERY_SECONDS: "0" });
  await off.ended;
  await off.close();
  expect(await audits()).toBe(0);

  const single = await run({ DISPATCH_FOR_SECONDS: "0" });
  await single.ended;
  await single.close();
  expect(await audits()).toBe(1);

  await database.admin`truncate downbeat.system_state, downbeat.audit_passes`;
  const lasting = await run({ DISPATCH_FOR_SECONDS: "forever" });
  await until("an audit", async () => (await audits()) === 1);
  await lasting.close();
  queue.destroy();
  await sqs.stop();
});
