import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { runDispatcher } from "@downbeat/dispatcher/run.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import type { RunningService } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

let api: TestApi;
let tenant: TestTenant;
let sqs: TestQueueServer;
let queue: QueueClient;
let queueUrl: string;
let receiver: Receiver;
let services: RunningService[];
const log = createLog("test", "error");

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.addTenant("acme");
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  ({ queueUrl } = await createQueues(queue, sqs.queueName("taken-back"), 60));
  const environment = {
    DATABASE_URL: api.database.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: api.config.DOWNBEAT_SECRET_KEYS,
    ALLOW_PRIVATE_TARGETS: "true",
    DISPATCH_FOR_SECONDS: "forever",
  };
  services = [
    await runExecutor(readConfig(executorConfig, environment), { log }),
    await runDispatcher(readConfig(dispatcherConfig, environment), { log }),
  ];
});

beforeEach(async () => {
  receiver = await startReceiver();
});

afterEach(() => receiver.close());

afterAll(async () => {
  for (const service of services) await service.close();
  queue.destroy();
  await sqs.stop();
  await api.close();
});

/** A schedule due `afterMs` from now at a fresh endpoint, already handed to the queue. Answers its id and its instant. */
async function scheduleOnItsWay(name: string, afterMs: number): Promise<{ id: string; dueAtMs: number }> {
  await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name, base_url: receiver.url } });
  const dueAtMs = Date.now() + afterMs;
  const body = { name, run_at: new Date(dueAtMs).toISOString(), endpoint: name };
  const created = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
  expect(created.status).toBe(201);
  await until("the run is in the queue", async () => (await stateOf(created.body.id)) === "queued");
  return { id: created.body.id, dueAtMs };
}

async function stateOf(scheduleId: string): Promise<string | undefined> {
  const [run] = await api.admin`select state from downbeat.runs where schedule_id = ${scheduleId}`;
  return run?.["state"] as string | undefined;
}

async function queueIsEmpty(): Promise<boolean> {
  const { visible, inFlight, delayed } = await queueDepth(queue, queueUrl);
  return visible + inFlight + delayed === 0;
}

test.each(["pause", "delete"])("a %s takes back a run whose message is already in the queue: it is never called", async (action) => {
  const { id } = await scheduleOnItsWay(`by-${action}`, 2_500);
  const answer = await (action === "pause"
    ? api.call("POST", `/api/v1/schedules/${id}/pause`, { key: tenant.key })
    : api.call("DELETE", `/api/v1/schedules/${id}`, { key: tenant.key }));
  expect(answer.status).toBeLessThan(300);
  expect(await stateOf(id)).toBe("canceled");
  // The executor has received the message, found nothing to do and deleted it.
  await until("the message is gone", queueIsEmpty);
  expect(receiver.calls).toHaveLength(0);
  expect(await stateOf(id)).toBe("canceled");
});

test("a schedule that is resumed before its instant gets the run back, and it is called once, on time", async () => {
  const { id, dueAtMs } = await scheduleOnItsWay("paused-and-resumed", 3_000);
  await api.call("POST", `/api/v1/schedules/${id}/pause`, { key: tenant.key });
  expect(await stateOf(id)).toBe("canceled");
  const resumed = await api.call("POST", `/api/v1/schedules/${id}/resume`, { key: tenant.key });
  expect(resumed.status).toBe(200);
  const [call] = await receiver.received(1);
  expect(call?.atMs).toBeGreaterThanOrEqual(dueAtMs);
  await until("the run is recorded", async () => (await stateOf(id)) === "succeeded");
  await until("both messages are gone", queueIsEmpty);
  expect(receiver.calls).toHaveLength(1);
});
