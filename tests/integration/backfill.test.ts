import type { ServerResponse } from "node:http";
import { startTestApi, type TestApi } from "@downbeat/api/start-test-api.test-support.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { runDispatcher } from "@downbeat/dispatcher/run.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import type { RunningService } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { type ReceivedCall, type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

let api: TestApi;
let sqs: TestQueueServer;
let services: RunningService[];
const log = createLog("test", "error");

beforeAll(async () => {
  api = await startTestApi();
  await api.addTenant("acme");
  sqs = await startQueueServer();
  const queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("backfill"), 60);
  queue.destroy();
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
    // Two of them, as when a CronJob's minutes meet.
    await runDispatcher(readConfig(dispatcherConfig, environment), { log }),
    await runDispatcher(readConfig(dispatcherConfig, environment), { log }),
  ];
});

afterAll(async () => {
  for (const service of services) await service.close();
  await sqs.stop();
  await api.close();
});

const concurrency = 5;
const count = 50;
const secondMs = 1_000;

/**
 * A target that answers live calls at once, and backfilled ones only when as many as may be under way are open and a live call has come meanwhile: so a backfill that were held up by
 * live runs, or held them up, would never end.
 */
class Target {
  receiver!: Receiver;
  readonly live: ReceivedCall[] = [];
  readonly backfilled: ReceivedCall[] = [];
  mostOpen = 0;
  #open: ServerResponse[] = [];
  #isLiveSeen = false;

  async start(): Promise<void> {
    this.receiver = await startReceiver((call, response) => {
      if (bodyOf(call)["backfilled"] === true) this.#hold(call, response);
      else {
        this.live.push(call);
        this.#isLiveSeen = this.#open.length > 0 || this.#isLiveSeen;
        response.writeHead(204).end();
      }
      this.#release();
    });
  }

  #hold(call: ReceivedCall, response: ServerResponse): void {
    this.backfilled.push(call);
    this.#open.push(response);
    this.mostOpen = Math.max(this.mostOpen, this.#open.length);
  }

  #release(): void {
    if (this.#open.length < concurrency || !this.#isLiveSeen) return;
    for (const response of this.#open.splice(0)) response.writeHead(204).end();
  }
}

function bodyOf({ body }: ReceivedCall): Record<string, unknown> {
  return JSON.parse(body) as Record<string, unknown>;
}

const call = (method: string, path: string, body?: unknown) =>
  api.call(method, `/api/v1${path}`, { key: api.adminKey, tenant: "acme", ...(body === undefined ? {} : { body }) });

test("a backfill calls each occurrence of its stretch once, marked as such, never more at once than it may, beside the live runs; asked for again, nothing is left", async () => {
  const target = new Target();
  await target.start();
  await call("POST", "/endpoints", { name: "target", base_url: target.receiver.url });
  const toAt = Math.floor(Date.now() / secondMs) * secondMs;
  const fromAt = toAt - count * secondMs;
  const rule = { interval_seconds: 1, anchor_at: new Date(fromAt - 100 * secondMs).toISOString() };
  const { body: schedule } = await call("POST", "/schedules", { name: "each second", endpoint: "target", ...rule });
  const stretch = { from: new Date(fromAt).toISOString(), to: new Date(toAt).toISOString() };

  const { status, body: backfill } = await call("POST", `/schedules/${schedule.id}/backfills`, { ...stretch, concurrency });
  expect([status, backfill.planned]).toEqual([201, count]);
  const finished = await until("the backfill is completed", async () => {
    const { body } = await call("GET", `/backfills/${backfill.id}`);
    return body.state === "completed" && body;
  });
  expect(finished).toMatchObject({ planned: count, fed: count, succeeded: count, failed: 0, running: 0, canceled: 0 });

  const occurrences = Array.from({ length: count }, (_, index) => new Date(fromAt + (index + 1) * secondMs).toISOString());
  expect(target.backfilled.map((received) => received.headers["x-scheduled-for"]).sort()).toEqual(occurrences);
  expect(new Set(target.backfilled.map((received) => received.headers["webhook-id"])).size).toBe(count);
  expect(target.mostOpen).toBe(concurrency);
  for (const received of target.live) expect(Date.parse(String(received.headers["x-scheduled-for"]))).toBeGreaterThan(toAt);

  const { body: again } = await call("POST", `/schedules/${schedule.id}/backfills`, { ...stretch, dry_run: true });
  expect(again).toMatchObject({ occurrences: count, planned: 0, left_out: { succeeded: count, under_way: 0 } });
  await target.receiver.close();
});
