// Runs of one schedule whose receiver takes longer than the schedule's interval: what each overlap policy makes of that, from the API to the receiver.
import type { ServerResponse } from "node:http";
import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
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
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

let api: TestApi;
let tenant: TestTenant;
let sqs: TestQueueServer;
let services: RunningService[];
let target: Target;
const log = createLog("test", "error");

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.addTenant("acme");
  sqs = await startQueueServer();
  const queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("overlap"), 60);
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
    // Two executors, so that what holds between two processes is what is tested.
    await runExecutor(readConfig(executorConfig, environment), { log }),
    await runExecutor(readConfig(executorConfig, environment), { log }),
    await runDispatcher(readConfig(dispatcherConfig, environment), { log }),
  ];
});

beforeEach(async () => {
  target = new Target();
  await target.start();
});

afterEach(async () => {
  target.releaseAll();
  await target.receiver.close();
});

afterAll(async () => {
  for (const service of services) await service.close();
  await sqs.stop();
  await api.close();
});

/** A receiver that answers a run's call when the test says so, and everything else at once. */
class Target {
  receiver!: Receiver;
  /** Runs in the order in which they were called. */
  readonly called: string[] = [];
  readonly cancellations: ReceivedCall[] = [];
  mostOpen = 0;
  readonly #open = new Map<string, ServerResponse>();

  async start(): Promise<void> {
    this.receiver = await startReceiver((call, response) => {
      const { run_id: runId, type } = JSON.parse(call.body) as { run_id: string; type?: string };
      if (type === "run.canceled") {
        this.cancellations.push(call);
        response.writeHead(204).end();
        return;
      }
      this.called.push(runId);
      this.#open.set(runId, response);
      this.mostOpen = Math.max(this.mostOpen, this.#open.size);
    });
  }

  get open(): string[] {
    return [...this.#open.keys()];
  }

  release(runId: string): void {
    this.#open.get(runId)?.writeHead(204).end();
    this.#open.delete(runId);
  }

  releaseAll(): void {
    for (const runId of this.open) this.release(runId);
  }
}

interface Scheduled {
  id: string;
  secret: string;
}

/** A schedule with `count` occurrences, one each second from now on. */
async function scheduleEachSecond(name: string, count: number, policy: Record<string, unknown>): Promise<Scheduled> {
  const endpoint = await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name, base_url: target.receiver.url } });
  const anchorMs = Date.now();
  const rule = {
    interval_seconds: 1,
    anchor_at: new Date(anchorMs).toISOString(),
    ends_at: new Date(anchorMs + 1_000 * count + 500).toISOString(),
  };
  const created = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body: { name, ...rule, endpoint: name, ...policy } });
  expect([created.status, created.text]).toEqual([201, created.text]);
  return { id: created.body.id, secret: endpoint.body.secret };
}

interface Row {
  id: string;
  state: string;
  reason: string | null;
  blockedBy: string | null;
}

async function runsOf({ id }: Scheduled): Promise<Row[]> {
  return api.admin<Row[]>`select id, state, reason, blocked_by as "blockedBy" from downbeat.runs where schedule_id = ${id} order by id`;
}

/** Resolves with all the schedule's runs when there are `count` of them and each has come to its end. */
async function ended(schedule: Scheduled, count: number): Promise<Row[]> {
  return until("every run to come to its end", async () => {
    const runs = await runsOf(schedule);
    return runs.length === count && runs.every(hasEnded) ? runs : undefined;
  });
}

const hasEnded = ({ state }: Row) => !["pending", "queued", "running", "retrying"].includes(state);
const waitFor = (what: string, schedule: Scheduled, isSo: (runs: Row[]) => boolean) =>
  until(what, async () => isSo(await runsOf(schedule)));
const countOf = (runs: readonly Row[], state: string, reason: string | null = null) =>
  runs.filter((run) => run.state === state && run.reason === reason).length;

test("`skip`: while one run is under way the others are skipped and name it; there are never two calls at once, and the gate is free again afterwards", async () => {
  const schedule = await scheduleEachSecond("skip", 20, { overlap: "skip" });
  await waitFor("two runs to be skipped", schedule, (runs) => countOf(runs, "skipped", "overlap") >= 2);
  const [first = ""] = target.called;
  expect(target.called).toEqual([first]);
  target.release(first);
  const second = await until("another call", () => target.called[1]);
  await waitFor("a run to be skipped beside it", schedule, (runs) => runs.some(({ blockedBy }) => blockedBy === second));
  // What is still to come is of no interest.
  const stopped = await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: tenant.key });
  expect(stopped.status).toBeLessThan(300);
  // One whose instant has come by now may get in when the gate is free.
  await until("the runs to come to their end", async () => {
    target.releaseAll();
    return (await runsOf(schedule)).every(hasEnded);
  });
  const runs = await runsOf(schedule);
  for (const run of runs.filter(({ state }) => state === "skipped")) {
    expect([run.reason, target.called.includes(run.blockedBy ?? "")]).toEqual(["overlap", true]);
    expect((run.blockedBy ?? "") < run.id).toBe(true);
  }
  expect(runs.filter(({ state }) => state === "succeeded").map(({ id }) => id)).toEqual(target.called);
  expect(target.mostOpen).toBe(1);
});

test("`queue_all`: each occurrence is delivered, in order, and never two at once", async () => {
  const schedule = await scheduleEachSecond("queue-all", 5, { overlap: "queue_all" });
  await waitFor("the others to wait behind the first", schedule, (runs) => runs.filter(({ reason }) => reason === "overlap").length === 4);
  expect(target.called).toHaveLength(1);
  for (let index = 0; index < 5; index += 1) {
    const runId = await until(`call ${index + 1}`, () => target.called[index]);
    expect(target.open).toEqual([runId]);
    target.release(runId);
  }
  const runs = await ended(schedule, 5);
  expect(countOf(runs, "succeeded")).toBe(5);
  expect(target.called).toEqual(runs.map(({ id }) => id));
  expect(target.mostOpen).toBe(1);
});

test("`allow` with two instances: two calls at once, never a third; what would be the third is skipped", async () => {
  const schedule = await scheduleEachSecond("allow", 4, { overlap: "allow", max_instances: 2 });
  await waitFor("the others to be skipped", schedule, (runs) => countOf(runs, "skipped", "overlap") === 2);
  expect(target.open).toHaveLength(2);
  target.releaseAll();
  const runs = await ended(schedule, 4);
  expect(runs.map(({ state }) => state)).toEqual(["succeeded", "succeeded", "skipped", "skipped"]);
  expect(target.called.toSorted()).toEqual(runs.slice(0, 2).map(({ id }) => id));
  expect(target.mostOpen).toBe(2);
});

test("`cancel_previous`: the receiver is told by a signed call that the old run is canceled, then the new one starts, and the old one's late answer changes nothing", async () => {
  const schedule = await scheduleEachSecond("cancel-previous", 2, { overlap: "cancel_previous" });
  const replacement = await until("the second run's call", () => target.called[1]);
  const [old = ""] = target.called;
  const [cancellation, ...others] = target.cancellations;
  expect(others).toEqual([]);
  const headers = cancellation?.headers as Record<string, string>;
  expect(new Webhook(schedule.secret).verify(cancellation?.body ?? "", headers)).toMatchObject({
    type: "run.canceled",
    run_id: old,
    schedule_id: schedule.id,
    reason: "superseded",
    replaced_by: replacement,
  });
  expect(headers["webhook-id"]).toBe(`cancel-${old}`);
  // The cancellation came first.
  const order = target.receiver.calls.map(({ body }) => (JSON.parse(body) as { type?: string; run_id: string }).type ?? "run");
  expect(order).toEqual(["run", "run.canceled", "run"]);
  target.release(old);
  target.release(replacement);
  expect(await ended(schedule, 2)).toEqual([
    { id: old, state: "canceled", reason: "superseded", blockedBy: replacement },
    { id: replacement, state: "succeeded", reason: null, blockedBy: null },
  ]);
  const attempts =
    await api.admin`select run_id as run, outcome, code from downbeat.attempts where run_id = any(${[old, replacement]}::uuid[]) order by run_id`;
  expect(attempts).toEqual([
    { run: old, outcome: "unknown", code: "superseded" },
    { run: replacement, outcome: "success", code: null },
  ]);
});
