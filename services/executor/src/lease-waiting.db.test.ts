import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import type { DatabaseRole } from "@downbeat/store/connect.ts";
import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import type { RunKey } from "@downbeat/store/run-key.ts";
import {
  arrangeGate,
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  readGate,
  readRun,
  type RunFields,
} from "@downbeat/store/runs.test-support.ts";
import { type ArrangedPolicy, databaseNow, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { readSamples } from "@downbeat/testkit/metric-samples.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { Registry } from "@prometheus-io/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DatabaseTime } from "./database-time.ts";
import { Endpoints } from "./endpoints.ts";
import { ExecutorMetrics } from "./executor-metrics.ts";
import { LeaseWaiting, type LeaseWaitingOptions } from "./lease-waiting.ts";
import { OpenMessages, type Settlement } from "./open-messages.ts";

let database: TestDatabase;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  schedule = await arrangeSchedule(database.admin);
});
afterAll(() => database.drop());

async function arrange(options: Partial<LeaseWaitingOptions> = {}, role: DatabaseRole = "downbeat_executor") {
  const sql = database.connectAs(role, 2);
  // This machine's clock and the database's agree, and stand still until the test moves on.
  const clock = new ManualClock(await databaseNow(database.admin));
  const stop = new AbortController();
  const { log, lines } = captureLog();
  const leased: LeasedRun[] = [];
  const replaced = new Map<string, readonly string[]>();
  const unknown: string[] = [];
  const settled = new Map<string, Settlement>();
  const endpoints = new Endpoints({ sql, keyRing: parseKeyRing(testSecretKeys), log, clock });
  const registry = new Registry();
  const waiting = new LeaseWaiting({
    sql,
    metrics: new ExecutorMetrics({ registry, clock, isByTenant: false }),
    endpoints,
    databaseTime: new DatabaseTime(clock),
    clock,
    random: () => 0,
    log,
    executor: "executor-1",
    leaseMs: 45_000,
    holdMsMax: 60_000,
    leasedMax: 4,
    waitingMax: 3,
    signal: stop.signal,
    onLeased: (_received, run, others) => {
      leased.push(run);
      replaced.set(run.runId, others);
    },
    onSettled: (received, settlement) => settled.set(received.runId, settlement),
    onUnknown: (received) => unknown.push(received.runId),
    ...options,
  });
  const messages = new OpenMessages(() => {});
  const received = (...runs: RunKey[]) => messages.open({ messageId: randomUUID(), receiptHandle: "", body: "" }, runs);
  return {
    clock,
    stop,
    endpoints,
    waiting,
    lines,
    leased,
    replaced,
    unknown,
    settled,
    received,
    counted: () => readSamples(registry),
    offer: (...runs: RunKey[]) => waiting.offer(received(...runs)),
    /** Until every lease that can be had is had and dealt out. */
    async rest(): Promise<void> {
      for (let round = 0; round < 10; round += 1) {
        await waiting.dealt();
        await setImmediate();
      }
    },
  };
}

/** Of a schedule each, for runs of one schedule do not run beside each other; all with one endpoint. */
async function arrangeRuns(count: number, fields?: RunFields): Promise<RunKey[]> {
  const runs: RunKey[] = [];
  for (let index = 0; index < count; index += 1) {
    runs.push(await arrangeRun(database.admin, await arrangeSchedule(database.admin, schedule), fields));
  }
  return runs;
}

const idsOf = (runs: readonly { runId: string }[]) => runs.map(({ runId }) => runId);

test("a leased run is handed on with its endpoint in memory", async () => {
  const { offer, rest, leased, endpoints } = await arrange();
  const [run] = (await arrangeRuns(1)) as [RunKey];
  offer(run);
  await rest();
  expect(leased).toMatchObject([{ ...run, attempt: 1, endpointId: schedule.endpointId }]);
  expect(endpoints.get({ tenantId: run.tenantId, endpointId: schedule.endpointId, revision: 1 })).toBeDefined();
});

test("no more runs are leased than can be carried; what waits is not leased until others have left", async () => {
  const { offer, rest, waiting, leased } = await arrange();
  const runs = await arrangeRuns(6);
  offer(...runs);
  await rest();
  expect(idsOf(leased)).toHaveLength(4);
  const unleased = runs.filter(({ runId }) => !idsOf(leased).includes(runId));
  for (const run of unleased) expect((await readRun(database.admin, run)).state).toBe("queued");
  for (let left = 0; left < 2; left += 1) {
    waiting.release();
    await rest();
  }
  expect(idsOf(leased).sort()).toEqual(idsOf(runs).sort());
});

test("a stream of short runs is leased in batches of a fair share of the room, not one by one", async () => {
  const { offer, rest, waiting, leased } = await arrange({ leasedMax: 8 });
  offer(...(await arrangeRuns(12)));
  await rest();
  waiting.release();
  await rest();
  expect(leased).toHaveLength(8);
  waiting.release();
  await rest();
  expect(leased).toHaveLength(10);
});

test("more is received only while little waits", async () => {
  const { offer, rest, waiting } = await arrange();
  let isThereRoom = false;
  await waiting.room();
  offer(...(await arrangeRuns(8)));
  await rest();
  // Four leased, four waiting, of which three may.
  void waiting.room().then(() => (isThereRoom = true));
  await rest();
  expect(isThereRoom).toBe(false);
  waiting.release();
  await rest();
  expect(isThereRoom).toBe(true);
});

test("two messages that name the same run lease it once, in one batch and in two", async () => {
  const { rest, waiting, leased, counted, received } = await arrange();
  const [run] = (await arrangeRuns(1)) as [RunKey];
  waiting.offer([...received(run), ...received(run)]);
  await rest();
  expect((await counted())["downbeat_duplicates_suppressed_total"]).toBe(1);
  waiting.offer(received(run));
  await rest();
  expect((await counted())["downbeat_duplicates_suppressed_total"]).toBe(2);
  expect(leased).toMatchObject([{ runId: run.runId, attempt: 1 }]);
});

test("a message whose run was leased through another is done with, and holds no room", async () => {
  const { offer, rest, settled, leased, waiting, received } = await arrange();
  const [run, ...others] = await arrangeRuns(4);
  for (let copies = 0; copies < 10; copies += 1) waiting.offer(received(run as RunKey));
  await rest();
  expect(settled.get(run?.runId ?? "")).toEqual({ isDone: true });
  offer(...others);
  await rest();
  expect(idsOf(leased)).toEqual(expect.arrayContaining(idsOf(others)));
});

test("what is over is done with; a run of another tenant and one that nobody knows are reported as such, and no run is touched", async () => {
  const { offer, rest, settled, leased, counted, unknown: reported } = await arrange();
  const [over] = (await arrangeRuns(1, { state: "succeeded" })) as [RunKey];
  const [live] = (await arrangeRuns(1)) as [RunKey];
  const forged = { tenantId: randomUUID(), runId: live.runId };
  const unknown = { tenantId: schedule.tenantId, runId: randomUUID() };
  offer(over, forged, unknown);
  await rest();
  expect([...settled]).toEqual([[over.runId, { isDone: true }]]);
  expect(reported).toEqual([forged.runId, unknown.runId]);
  expect((await counted())["downbeat_duplicates_suppressed_total"]).toBe(1);
  expect(leased).toEqual([]);
  expect((await readRun(database.admin, live)).state).toBe("queued");
});

test("a run that is due in a while comes back shortly before it is; one that is due in days comes back before SQS forgets to hide it", async () => {
  const { offer, rest, settled } = await arrange();
  const [soon] = (await arrangeRuns(1, { scheduledInMs: 600_000 })) as [RunKey];
  const [inDays] = (await arrangeRuns(1, { scheduledInMs: 3 * 86_400_000 })) as [RunKey];
  offer(soon, inDays);
  await rest();
  expect(settled.get(soon.runId)).toMatchObject({
    isDone: false,
    againInSeconds: expect.toSatisfy((seconds: number) => seconds > 500 && seconds <= 598),
  });
  expect(settled.get(inDays.runId)).toEqual({ isDone: false, againInSeconds: 11 * 3_600 });
});

test("a run that is near is leased only just before its instant: until then a pause or an edit can take it back", async () => {
  const { offer, rest, clock, leased, settled } = await arrange();
  const other = await arrangeSchedule(database.admin);
  const [kept] = (await arrangeRuns(1, { scheduledInMs: 40_000 })) as [RunKey];
  const edited = await arrangeRun(database.admin, other, { scheduledInMs: 40_000 });
  offer(kept, edited);
  clock.advance(35_000);
  await rest();
  expect([leased, settled.size]).toEqual([[], 0]);
  await database.admin`update downbeat.schedules set revision = 2, revised_at = now() where id = ${other.scheduleId}`;
  clock.advance(25_000);
  await rest();
  expect(idsOf(leased)).toEqual([kept.runId]);
  expect(await readRun(database.admin, edited)).toMatchObject({ state: "canceled", reason: "schedule_changed" });
});

test("runs that wait for their instant count as waiting: they too stop the receives, until they are leased", async () => {
  const { offer, rest, clock, waiting } = await arrange();
  const soon = await Promise.all(["a", "b", "c", "d"].map((triggerId) => arrangeRuns(1, { scheduledInMs: 40_000, triggerId })));
  offer(...soon.flat().slice(0, 3));
  await waiting.room();
  offer(...soon.flat().slice(3));
  let isThereRoom = false;
  void waiting.room().then(() => (isThereRoom = true));
  await rest();
  expect(isThereRoom).toBe(false);
  clock.advance(60_000);
  await rest();
  expect(isThereRoom).toBe(true);
});

test("stopping gives up what waits, leases nothing more, and hands back what comes after it", async () => {
  const { offer, rest, stop, waiting, leased, settled } = await arrange();
  const runs = await arrangeRuns(6);
  offer(...runs);
  await rest();
  stop.abort();
  const given = idsOf(waiting.stop());
  expect(given.length + leased.length).toBe(6);
  const [late] = (await arrangeRuns(1)) as [RunKey];
  offer(late);
  for (let left = 0; left < 4; left += 1) waiting.release();
  await rest();
  expect(leased).toHaveLength(4);
  expect(settled.get(late.runId)).toEqual({ isDone: false, againInSeconds: 0 });
});

test("stopping hands back at once what waits for its instant, and lets go of who waits for room", async () => {
  const { offer, rest, stop, waiting, settled } = await arrange();
  const [early] = (await arrangeRuns(1, { scheduledInMs: 40_000 })) as [RunKey];
  offer(early);
  offer(...(await arrangeRuns(8)));
  const room = waiting.room();
  stop.abort();
  waiting.stop();
  await room;
  await rest();
  expect(settled.get(early.runId)).toEqual({ isDone: false, againInSeconds: 0 });
  expect(await waiting.room()).toBeUndefined();
});

test("a failure that waiting cannot mend ends the process, and the batch goes back to the queue", async () => {
  // The dispatcher may not read secrets.
  const { offer, waiting, settled } = await arrange({}, "downbeat_dispatcher");
  const runs = await arrangeRuns(2);
  offer(...runs);
  await expect(waiting.failed).rejects.toMatchObject({ code: "42501" });
  expect([...settled.values()]).toEqual(runs.map(() => ({ isDone: false, againInSeconds: 0 })));
});

// Runs of a schedule beside each other ------------------------------------------------------------------------------------------------

/** A schedule of which a run is being called. */
async function arrangeHeld(policy: ArrangedPolicy): Promise<{ held: ArrangedSchedule; holder: RunKey }> {
  const held = await arrangeSchedule(database.admin, schedule, policy);
  const holder = await arrangeLeased(database.admin, held, { scheduledInMs: -3_600_000 });
  await arrangeGate(database.admin, held, { holders: [holder], started: 1 });
  return { held, holder };
}

const endOf = (run: RunKey) => database.admin`update downbeat.runs set state = 'succeeded', sweep_at = null where id = ${run.runId}`;

test("a run that is skipped because another is under way is done with, and holds no room", async () => {
  const { offer, rest, settled, leased, waiting } = await arrange({ leasedMax: 1, waitingMax: 0 });
  const { held } = await arrangeHeld({ overlap: "skip" });
  const skipped = await arrangeRun(database.admin, held);
  offer(skipped);
  await rest();
  expect(settled.get(skipped.runId)).toEqual({ isDone: true });
  expect(await readRun(database.admin, skipped)).toMatchObject({ state: "skipped", reason: "overlap" });
  await waiting.room();
  const [other] = (await arrangeRuns(1)) as [RunKey];
  offer(other);
  await rest();
  expect(idsOf(leased)).toEqual([other.runId]);
});

test("whether a run may start beside another is decided at its instant, not when it is near: until then the other may end", async () => {
  const { offer, rest, clock, settled, leased } = await arrange();
  const { held, holder } = await arrangeHeld({ overlap: "skip" });
  const { held: stillHeld } = await arrangeHeld({ overlap: "skip" });
  const [run, other] = [
    await arrangeRun(database.admin, held, { scheduledInMs: 40_000 }),
    await arrangeRun(database.admin, stillHeld, { scheduledInMs: 40_000 }),
  ];
  offer(run, other);
  // This machine's clock runs ahead of the database's, so that they are asked about long before their instant.
  clock.advance(40_000);
  await rest();
  expect([settled.size, leased.length]).toEqual([0, 0]);
  await endOf(holder);
  await database.admin`update downbeat.runs set due_at = now() where id = any(${[run.runId, other.runId]}::uuid[])`;
  clock.advance(40_000);
  await rest();
  expect(idsOf(leased)).toEqual([run.runId]);
  expect(settled.get(other.runId)).toEqual({ isDone: true });
  expect(await readRun(database.admin, other)).toMatchObject({ state: "skipped", reason: "overlap" });
});

test("of several runs of a schedule that may run beside each other each is leased, in one offer", async () => {
  const { offer, rest, leased } = await arrange();
  const beside = await arrangeSchedule(database.admin, schedule, { overlap: "allow", max_instances: 3 });
  const runs = [
    await arrangeRun(database.admin, beside),
    await arrangeRun(database.admin, beside),
    await arrangeRun(database.admin, beside),
  ];
  offer(...runs);
  await rest();
  expect(idsOf(leased).sort()).toEqual(idsOf(runs).sort());
});

test("a run that waits for its turn is done with: it is sent again when its turn has come", async () => {
  const { offer, rest, settled, leased } = await arrange();
  const { held, holder } = await arrangeHeld({ overlap: "queue_one" });
  const run = await arrangeRun(database.admin, held);
  offer(run);
  await rest();
  expect([settled.get(run.runId), leased]).toEqual([{ isDone: true }, []]);
  expect(await readRun(database.admin, run)).toMatchObject({ state: "pending", reason: "overlap", blockedBy: holder.runId });
  await endOf(holder);
  offer(run);
  await rest();
  expect(idsOf(leased)).toEqual([run.runId]);
});

test("a run that replaces another is handed on with what it replaces; the others with nothing", async () => {
  const { offer, rest, replaced } = await arrange();
  const { held, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const run = await arrangeRun(database.admin, held);
  const [other] = (await arrangeRuns(1)) as [RunKey];
  offer(run, other);
  await rest();
  expect(replaced).toEqual(
    new Map([
      [run.runId, [holder.runId]],
      [other.runId, []],
    ]),
  );
  expect(await readRun(database.admin, holder)).toMatchObject({ state: "canceled", reason: "superseded" });
});

test("two messages that name a run which replaces another lease it once, with what it replaces", async () => {
  const { rest, waiting, received, leased, replaced } = await arrange();
  const { held, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const run = await arrangeRun(database.admin, held);
  waiting.offer([...received(run), ...received(run)]);
  await rest();
  expect(leased).toMatchObject([{ runId: run.runId, attempt: 1 }]);
  expect(replaced).toEqual(new Map([[run.runId, [holder.runId]]]));
});

test("runs that are held stop the receives until it is decided about them", async () => {
  const { offer, rest, waiting } = await arrange({ waitingMax: 2 });
  const { held } = await arrangeHeld({ overlap: "skip" });
  const runs: RunKey[] = [];
  for (let index = 0; index < 6; index += 1) runs.push(await arrangeRun(database.admin, held));
  offer(...runs);
  const room = waiting.room();
  await rest();
  await room;
  const states = await Promise.all(runs.map(async (run) => (await readRun(database.admin, run)).state));
  expect(new Set(states)).toEqual(new Set(["skipped"]));
});

test("when a run that had its turn ends at the lease, the next in line has it", async () => {
  const { offer, rest, settled } = await arrange();
  const held = await arrangeSchedule(database.admin, schedule, { overlap: "queue_all", grace_seconds: 60 });
  const late = await arrangeRun(database.admin, held, { scheduledInMs: -90_000, state: "queued" });
  const next = await arrangeRun(database.admin, held, { scheduledInMs: -30_000, state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(database.admin, held, { waiting: [late, next] });
  offer(late);
  await rest();
  expect(settled.get(late.runId)).toEqual({ isDone: true });
  expect(await readRun(database.admin, late)).toMatchObject({ state: "missed", reason: "grace" });
  expect((await readRun(database.admin, next)).sweepInMs).toBeLessThanOrEqual(0);
});

test("stopping hands back a held run about which nothing is decided yet, and nothing is decided about it any more", async () => {
  const { offer, stop, waiting, settled } = await arrange();
  const { held } = await arrangeHeld({ overlap: "skip" });
  const run = await arrangeRun(database.admin, held);
  // The lease waits for the gate; by the time it answers that the run is held, the executor drains.
  await database.admin.begin(async (sql) => {
    await sql`select from downbeat.schedule_gates where schedule_id = ${held.scheduleId} for update`;
    offer(run);
    await until("the executor to wait for the gate", async () => {
      const rows = await database.admin`
        select from pg_stat_activity where datname = current_database() and application_name = 'test-downbeat_executor' and wait_event_type = 'Lock'`;
      return rows.length === 1;
    });
    stop.abort();
    waiting.stop();
  });
  await waiting.dealt();
  expect(settled.get(run.runId)).toEqual({ isDone: false, againInSeconds: 0 });
  expect(await readRun(database.admin, run)).toMatchObject({ state: "queued", attempt: 0 });
});

test("stopping hands back a run that waits for its instant beside another of its schedule", async () => {
  const { offer, rest, stop, waiting, settled, clock } = await arrange();
  const { held } = await arrangeHeld({ overlap: "skip" });
  const run = await arrangeRun(database.admin, held, { scheduledInMs: 40_000 });
  offer(run);
  clock.advance(40_000);
  await rest();
  stop.abort();
  waiting.stop();
  await rest();
  expect(settled.get(run.runId)).toEqual({ isDone: false, againInSeconds: 0 });
  expect(await readRun(database.admin, run)).toMatchObject({ state: "queued", attempt: 0 });
});

test("a failure to decide that waiting cannot mend ends the process and sends back what is held; what was leased beside it is carried on", async () => {
  const { offer, rest, waiting, settled, leased } = await arrange();
  const { held } = await arrangeHeld({ overlap: "queue_one" });
  const run = await arrangeRun(database.admin, held);
  const [other] = (await arrangeRuns(1)) as [RunKey];
  // Deciding writes the gate, leasing beside a holder does not.
  await database.admin`alter table downbeat.schedule_gates add constraint no_line check (waiting = '{}') not valid`;
  offer(run, other);
  await expect(waiting.failed).rejects.toMatchObject({ code: "23514" });
  await rest();
  await database.admin`alter table downbeat.schedule_gates drop constraint no_line`;
  expect(settled.get(run.runId)).toEqual({ isDone: false, againInSeconds: 0 });
  expect([idsOf(leased), settled.has(other.runId)]).toEqual([[other.runId], false]);
  expect(await readRun(database.admin, run)).toMatchObject({ state: "queued", attempt: 0 });
  expect(await readGate(database.admin, held)).toMatchObject({ waiting: [] });
});
