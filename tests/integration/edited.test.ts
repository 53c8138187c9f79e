import { runDispatcher } from "@downbeat/dispatcher/run.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import type { RunningService } from "@downbeat/runtime/lifecycle.ts";
import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { type ReceivedCall, type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

/** The whole pipeline, with a look-ahead of more than a minute: whatever is changed here, dozens of runs of the former rule are in the queue already. */
let api: TestApi;
let sqs: TestQueueServer;
let queue: QueueClient;
let services: RunningService[];
let tenant: TestTenant;
let receiver: Receiver;
/** Answers wait here while a test holds them back. */
let release: (() => void) | undefined;
let names = 0;

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.addTenant("edited");
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 16 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("edited"), 60);
  const environment = {
    DATABASE_URL: api.database.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: api.config.DOWNBEAT_SECRET_KEYS,
    ALLOW_PRIVATE_TARGETS: "true",
    DISPATCH_FOR_SECONDS: "forever",
  };
  const { log } = captureLog();
  services = [
    await runExecutor(readConfig(executorConfig, environment), { log }),
    await runDispatcher(readConfig(dispatcherConfig, environment), { log }),
  ];
});

beforeEach(async () => {
  release = undefined;
  let isHeld = false;
  receiver = await startReceiver((call, response) => {
    const answer = () => response.writeHead(204).end();
    // The first call of a test that asks for it is answered when the test says so.
    if (call.path === "/slow" && !isHeld) {
      isHeld = true;
      release = answer;
    } else answer();
  });
});

afterEach(() => receiver.close());

afterAll(async () => {
  for (const service of services) await service.close();
  queue.destroy();
  await sqs.stop();
  await api.close();
});

/** What is leased a quarter of a second before its instant can no longer be taken back. */
const leasedAheadMs = 250;

interface Created {
  id: string;
  revision: number;
}

/** A schedule that is due each second, most of whose next minute is in the queue already. */
async function everySecond(path: string): Promise<Created> {
  const name = `edited-${(names += 1)}`;
  await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name, base_url: receiver.url } });
  const body = { name, interval_seconds: 1, endpoint: name, target: { path }, overlap: "allow", max_instances: 100 };
  const created = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
  expect(created.status).toBe(201);
  await until("runs of the next minute are in the queue", async () => (await statesOf(created.body.id, "queued")) > 40);
  await receiver.received(2);
  return created.body as Created;
}

async function statesOf(scheduleId: string, state: string): Promise<number> {
  const [row] = await api.admin<{ count: number }[]>`
    select count(*)::int as count from downbeat.runs where schedule_id = ${scheduleId} and state = ${state}`;
  return row?.count ?? 0;
}

const edit = (id: string, body: object) => api.call("PATCH", `/api/v1/schedules/${id}`, { key: tenant.key, body });
const act = (id: string, action: string, body?: object) =>
  api.call("POST", `/api/v1/schedules/${id}/${action}`, { key: tenant.key, ...(body === undefined ? {} : { body }) });

const scheduledFor = ({ body }: ReceivedCall) => Date.parse(String((JSON.parse(body) as { scheduled_for: string }).scheduled_for));
const callsTo = (path: string) => receiver.calls.filter((call) => call.path === path);

/** Waits until nothing of the schedule is left on its way, so that no call can come any more. */
async function quiet(id: string): Promise<void> {
  await until("nothing is on its way", async () => {
    const [row] = await api.admin<{ count: number }[]>`
      select count(*)::int as count from downbeat.runs where schedule_id = ${id} and state in ('pending', 'queued', 'running', 'retrying')`;
    return row?.count === 0;
  });
}

/** Each occurrence of the ledger was called exactly once, or not at all where it says canceled. */
async function expectLedgerAndReceiverAgree(id: string): Promise<void> {
  const rows = await api.admin<{ id: string; state: string }[]>`select id, state from downbeat.runs where schedule_id = ${id} order by id`;
  const calls = receiver.calls.map(({ headers }) => String(headers["webhook-id"])).sort();
  expect(calls).toEqual(rows.filter(({ state }) => state === "succeeded").map((row) => row.id));
  expect(new Set(rows.map(({ state }) => state)).difference(new Set(["succeeded", "canceled"])).size).toBe(0);
}

test("an edit of what is called reaches every run after it: the old target is never called again, each instant is called once", async () => {
  const { id } = await everySecond("/old");
  const { status, body } = await edit(id, { target: { path: "/new" } });
  expect([status, body.revision, body.impact.withdrawn > 40]).toEqual([200, 2, true]);
  const editedAt = Date.parse(body.updated_at);
  await until("the new target is called", () => callsTo("/new").length >= 3);
  await api.call("DELETE", `/api/v1/schedules/${id}`, { key: tenant.key });
  await quiet(id);
  for (const call of callsTo("/old")) expect(scheduledFor(call)).toBeLessThanOrEqual(editedAt + leasedAheadMs);
  for (const call of callsTo("/new")) expect(scheduledFor(call)).toBeGreaterThan(editedAt - leasedAheadMs);
  const instants = receiver.calls.map(scheduledFor);
  expect(new Set(instants).size).toBe(instants.length);
  // No second is missing between the first call and the last.
  expect(Math.max(...instants) - Math.min(...instants)).toBe((instants.length - 1) * 1_000);
  await expectLedgerAndReceiverAgree(id);
});

test("an edit of when it runs withdraws the old instants and runs the new ones", async () => {
  const { id } = await everySecond("/timed");
  const anchor = new Date(Date.now() - 10_000_500);
  anchor.setMilliseconds(500);
  const { status, body } = await edit(id, { interval_seconds: 2, anchor_at: anchor.toISOString() });
  expect(status).toBe(200);
  const editedAt = Date.parse(body.updated_at);
  const isNew = (call: ReceivedCall) => scheduledFor(call) % 1_000 === 500;
  await until("the new rule has run", () => receiver.calls.filter(isNew).length >= 2);
  await api.call("DELETE", `/api/v1/schedules/${id}`, { key: tenant.key });
  await quiet(id);
  const old = receiver.calls.filter((call) => !isNew(call));
  for (const call of old) expect(scheduledFor(call)).toBeLessThanOrEqual(editedAt + leasedAheadMs);
  for (const call of receiver.calls.filter(isNew)) expect((scheduledFor(call) - anchor.getTime()) % 2_000).toBe(0);
  expect(await statesOf(id, "canceled")).toBeGreaterThan(40);
  await expectLedgerAndReceiverAgree(id);
});

test("a slot that is due already is untouched by an edit, a pause and a deletion: it runs to its end as it was", async () => {
  const { id } = await everySecond("/slow");
  await until("a call is held", () => release !== undefined);
  const [held] = callsTo("/slow");
  expect((await edit(id, { target: { path: "/other" } })).status).toBe(200);
  expect((await act(id, "pause")).status).toBe(200);
  expect((await api.call("DELETE", `/api/v1/schedules/${id}`, { key: tenant.key })).status).toBe(204);
  release?.();
  await quiet(id);
  const [run] = await api.admin`select state, http_status from downbeat.runs where id = ${String(held?.headers["webhook-id"])}`;
  expect(run).toEqual({ state: "succeeded", http_status: 204 });
  await expectLedgerAndReceiverAgree(id);
});

test("while paused nothing runs; what fell into the pause is accounted for, and made up for as the schedule says", async () => {
  const { id } = await everySecond("/paused");
  const paused = await act(id, "pause", { reason: "stocktaking" });
  expect(paused.body).toMatchObject({ state: "paused", pause: { until: null, on_resume: "skip", occurrences: null, per_day: 86_400 } });
  const pausedAt = Date.parse(paused.body.paused_at);
  await quiet(id);
  const callsBefore = receiver.calls.length;
  await until("seconds have passed", async () => {
    const [row] = await api.admin<
      { passed: boolean }[]
    >`select now() > ${paused.body.paused_at}::timestamptz + interval '2500 milliseconds' as passed`;
    return row?.passed;
  });
  expect(receiver.calls.length).toBe(callsBefore);
  const resumed = await act(id, "resume", { on_resume: "latest" });
  const { skipped } = resumed.body.resume;
  expect(resumed.body).toMatchObject({ state: "active", resume: { replayed: 1 } });
  const resumedAt = Date.parse(resumed.body.updated_at);
  await until("it runs again", () => receiver.calls.length >= callsBefore + 3);
  await api.call("DELETE", `/api/v1/schedules/${id}`, { key: tenant.key });
  await quiet(id);
  await expectLedgerAndReceiverAgree(id);
  // All of the pause had been claimed ahead of it, so each second of it has its own row: canceled, but for the newest, which was made up for.
  const rows = await api.admin<{ state: string }[]>`
    select state from downbeat.runs where schedule_id = ${id} and scheduled_for > to_timestamp(${pausedAt / 1_000}::float8)
      and scheduled_for <= to_timestamp(${resumedAt / 1_000}::float8) order by scheduled_for`;
  expect(rows.map(({ state }) => state)).toEqual([...Array.from({ length: skipped }, () => "canceled"), "succeeded"]);
});
