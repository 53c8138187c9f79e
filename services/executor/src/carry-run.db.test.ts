import { createCaller, type Caller } from "@downbeat/delivery/call.ts";
import { createNetworkGuard } from "@downbeat/delivery/network-guard.ts";
import { resolveAsTheMachine } from "@downbeat/delivery/resolve-host.ts";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { Outage } from "@downbeat/runtime/back-off.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { Slots } from "@downbeat/runtime/slots.ts";
import { leaseRuns } from "@downbeat/store/lease-runs.ts";
import {
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  readAttempts,
  readRun,
  type RunFields,
} from "@downbeat/store/runs.test-support.ts";
import { arrangeEndpoint, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { readSamples } from "@downbeat/testkit/metric-samples.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { Registry } from "@prometheus-io/client";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { carryRun } from "./carry-run.ts";
import { DatabaseTime } from "./database-time.ts";
import { Endpoints } from "./endpoints.ts";
import { ExecutorMetrics } from "./executor-metrics.ts";
import { Outcomes } from "./outcomes.ts";

const leaseMs = 40_000;

let database: TestDatabase;
let receiver: Receiver;
let caller: Caller;
let schedule: ArrangedSchedule;
let status = 204;
/** What the target does before it answers. */
let whenCalled = async (): Promise<void> => {};

beforeAll(async () => {
  database = await createTestDatabase();
  const guard = createNetworkGuard({ allowPrivateTargets: true });
  caller = createCaller({ guard, resolve: resolveAsTheMachine, clock: systemClock, connectionsPerOriginMax: 4 });
});
afterAll(async () => {
  await caller.close();
  await database.drop();
});
beforeEach(async ({ onTestFinished }) => {
  status = 204;
  whenCalled = async () => {};
  receiver = await startReceiver((_call, response) => void whenCalled().then(() => response.writeHead(status).end()));
  onTestFinished(() => receiver.close());
  schedule = await arrangeSchedule(database.admin, await arrangeEndpoint(database.admin, receiver.url));
});

/** Leases a run and stands ready to carry it. The clock shows the database's time of the lease and stands still. */
async function arrange(fields?: RunFields) {
  const sql = database.connectAs("downbeat_executor");
  // Of a schedule of its own: what else a test leases is not in its way.
  const key = await arrangeRun(database.admin, await arrangeSchedule(database.admin, schedule), fields);
  const { answers, nowAt } = await leaseRuns(sql, { keys: [key], executor: "executor-1", leaseMs, holdMsMax: 60_000 });
  const [answer] = answers;
  if (answer?.verdict !== "leased") throw new Error("the run was not leased");
  const clock = new ManualClock(nowAt);
  const { log, lines } = captureLog();
  const databaseTime = new DatabaseTime(clock);
  databaseTime.learn(nowAt, 0, 0);
  const endpoints = new Endpoints({ sql, keyRing: parseKeyRing(testSecretKeys), log, clock });
  await endpoints.load([{ ...answer.run, revision: answer.run.endpointRevision }]);
  const drain = new AbortController();
  const slots = new Slots(1);
  const shared = { sql, clock, random: () => 0, log, executor: "executor-1" };
  // Outcomes go at once: no other run is coming.
  const outcomes = new Outcomes({ ...shared, delayMs: 0, signal: new AbortController().signal });
  const registry = new Registry();
  const options = {
    ...shared,
    metrics: new ExecutorMetrics({ registry, clock, isByTenant: false }),
    caller,
    endpoints,
    databaseTime,
    slots,
    outcomes,
    leaseMs,
    renewing: new Outage(),
    allowPrivateTargets: true,
    draining: drain.signal,
  };
  return { run: answer.run, clock, drain, slots, lines, counted: () => readSamples(registry), carry: () => carryRun(answer.run, options) };
}

test("a due run is called, recorded, counted and told in one line", async () => {
  const { run, lines, slots, counted, carry } = await arrange({ scheduledInMs: -700 });
  expect(await carry()).toBe("recorded");
  expect(receiver.calls).toMatchObject([{ method: "POST", path: "/hook", headers: { "webhook-id": run.runId, "x-attempt": "1" } }]);
  expect(await readRun(database.admin, run)).toMatchObject({ state: "succeeded", httpStatus: 204 });
  expect(lines).toMatchObject([
    { msg: "attempt", level: "info", run: run.runId, attempt: 1, outcome: "success", status: 204, isRecorded: true },
  ]);
  expect(await counted()).toMatchObject({
    'downbeat_attempts_total{outcome="success",code="http_204",state="succeeded"}': 1,
    // At least 0.7 s after its instant, and at most so much later as this machine is slow.
    'downbeat_start_lag_seconds_bucket{le="0.5"}': 0,
    'downbeat_start_lag_seconds_bucket{le="60"}': 1,
    downbeat_start_lag_seconds_count: 1,
    downbeat_fenced_writes_total: 0,
  });
  expect(slots.free).toBe(1);
});

test("a failed call is recorded as the attempt it was, and the run is planned again", async () => {
  status = 503;
  const { run, counted, carry } = await arrange();
  expect(await carry()).toBe("recorded");
  expect((await counted())['downbeat_attempts_total{outcome="transient",code="http_503",state="retrying"}']).toBe(1);
  expect(await readRun(database.admin, run)).toMatchObject({ state: "retrying", attempt: 1, httpStatus: 503 });
  expect(await readAttempts(database.admin, run)).toMatchObject([{ attempt: 1, outcome: "transient", code: "http_503" }]);
});

test("a run that failed is not planned again when its schedule's next occurrence comes first", async () => {
  status = 503;
  const { run, carry } = await arrange({ retryUntilInMs: 3_000 });
  expect(await carry()).toBe("recorded");
  expect(await readRun(database.admin, run)).toMatchObject({ state: "failed", reason: "superseded", attempt: 1, httpStatus: 503 });
});

test("a backfilled run says so to its receiver, and is tried again however old it is", async () => {
  status = 503;
  await database.admin`select downbeat.ensure_run_partitions(now() - interval '6 days', now())`;
  const { run, carry } = await arrange({ scheduledInMs: -5 * 86_400_000, triggerId: "backfill 7" });
  expect(await carry()).toBe("recorded");
  expect(JSON.parse(receiver.calls[0]?.body ?? "")).toMatchObject({ run_id: run.runId, backfilled: true });
  expect(await readRun(database.admin, run)).toMatchObject({ state: "retrying", attempt: 1 });
});

test("a run is not called before its instant, and holds no slot until then", async () => {
  const { run, clock, slots, carry } = await arrange({ scheduledInMs: 20_000 });
  const carried = carry();
  await until("the run to be held", () => clock.sleeping === 1, { everyMs: 1 });
  const leftMs = run.dueAt - clock.now();
  clock.advance(leftMs - 0.5);
  await until("the run to be held to the last moment", () => clock.sleeping === 1, { everyMs: 1 });
  expect([receiver.calls.length, slots.free]).toEqual([0, 1]);
  clock.advance(1);
  expect(await carried).toBe("recorded");
  expect(receiver.calls).toHaveLength(1);
});

test("a run that is held, or waits for a slot, is given up uncalled when the executor drains", async () => {
  const held = await arrange({ scheduledInMs: 20_000 });
  const carriedHeld = held.carry();
  await until("the run to be held", () => held.clock.sleeping === 1, { everyMs: 1 });
  held.drain.abort();
  expect(await carriedHeld).toBe("uncalled");

  const queued = await arrange();
  await queued.slots.take();
  const carriedQueued = queued.carry();
  queued.drain.abort();
  expect(await carriedQueued).toBe("uncalled");
  queued.slots.release();
  expect([receiver.calls.length, queued.slots.free]).toEqual([0, 1]);
});

test("a lease that has become too short for a call is renewed before it", async () => {
  const { run, clock, slots, carry } = await arrange();
  await slots.take();
  const carried = carry();
  clock.advance(leaseMs / 2);
  await database.admin`update downbeat.runs set sweep_at = now() where id = ${run.runId}`;
  let leftMs: number | null = 0;
  whenCalled = async () => void ({ sweepInMs: leftMs } = await readRun(database.admin, run));
  slots.release();
  expect(await carried).toBe("recorded");
  expect(leftMs).toBeGreaterThan(leaseMs / 2);
});

test("a run whose lease was taken while it waited for a slot is not called", async () => {
  const { run, clock, slots, counted, carry } = await arrange();
  await slots.take();
  const carried = carry();
  clock.advance(leaseMs);
  await database.admin`update downbeat.runs set state = 'retrying', lease_token = null where id = ${run.runId}`;
  slots.release();
  expect(await carried).toBe("fenced");
  expect(await counted()).toMatchObject({ downbeat_fenced_writes_total: 1 });
  expect(Object.keys(await counted()).filter((series) => series.startsWith("downbeat_attempts_total"))).toEqual([]);
  expect([receiver.calls.length, slots.free]).toEqual([0, 1]);
});

test("a run whose lease was taken during the call is told as fenced, and what the other wrote stands", async () => {
  const { run, lines, counted, carry } = await arrange();
  const leaseToken = "11111111-1111-4111-8111-111111111111";
  whenCalled = async () =>
    void (await database.admin`update downbeat.runs set attempt = 2, lease_token = ${leaseToken} where id = ${run.runId}`);
  expect(await carry()).toBe("fenced");
  expect(await readRun(database.admin, run)).toMatchObject({ state: "running", attempt: 2, leaseToken });
  expect(await readAttempts(database.admin, run)).toEqual([]);
  expect(lines).toMatchObject([{ level: "warn", isRecorded: false, run: run.runId }]);
  expect(await counted()).toMatchObject({
    'downbeat_attempts_total{outcome="success",code="http_204",state="fenced"}': 1,
    downbeat_fenced_writes_total: 1,
  });
});

test("a run of an endpoint without a usable secret is not called and has failed as misconfigured", async () => {
  await database.admin`delete from downbeat.endpoint_secrets where endpoint_id = ${schedule.endpointId}`;
  const { run, counted, carry } = await arrange();
  expect(await carry()).toBe("recorded");
  const counts = await counted();
  expect(counts['downbeat_attempts_total{outcome="permanent",code="misconfigured",state="failed"}']).toBe(1);
  // No call was made, so there is none whose length could be told.
  expect(Object.keys(counts).filter((series) => series.startsWith("downbeat_delivery_duration_seconds"))).toEqual([]);
  expect(receiver.calls).toEqual([]);
  expect(await readRun(database.admin, run)).toMatchObject({ state: "failed", reason: "misconfigured" });
});
