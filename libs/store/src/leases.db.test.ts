import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { renewLeases } from "./renew-leases.ts";
import { returnLeases } from "./return-leases.ts";
import { arrangeLeased, arrangeSchedule, type ArrangedSchedule, atOneInstant, readAttempts, readRun } from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let executor: Sql;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  executor = database.connectAs("downbeat_executor");
  schedule = await arrangeSchedule(admin);
});
afterAll(() => database.drop());

test("a renewed lease ends that long from now, and stays the same lease", async () => {
  const lease = await arrangeLeased(admin, schedule, { sweepInMs: 100 });
  await atOneInstant(executor, async (sql) => {
    expect(await renewLeases(sql, [lease], 45_000)).toEqual(new Set([lease.leaseToken]));
    expect(await readRun(sql, lease)).toMatchObject({ state: "running", attempt: 1, sweepInMs: 45_000, leaseToken: lease.leaseToken });
  });
});

test("a lease that is over but that nobody has taken is still held", async () => {
  const lease = await arrangeLeased(admin, schedule, { sweepInMs: -60_000 });
  expect(await renewLeases(executor, [lease], 45_000)).toEqual(new Set([lease.leaseToken]));
});

test("of several leases only those still held are renewed", async () => {
  const held = await arrangeLeased(admin, schedule);
  const taken = { ...(await arrangeLeased(admin, schedule, { sweepInMs: 7_000 })), leaseToken: randomUUID() };
  const swept = await arrangeLeased(admin, schedule);
  await admin`update downbeat.runs set state = 'retrying', lease_token = null where id = ${swept.runId}`;
  const ended = await arrangeLeased(admin, schedule, { state: "succeeded" });
  expect(await renewLeases(executor, [held, taken, swept, ended], 45_000)).toEqual(new Set([held.leaseToken]));
  expect((await readRun(admin, taken)).sweepInMs).toBeLessThanOrEqual(7_000);
});

test("a returned run waits for the next executor with its attempt unspent, and without a trace of a call", async () => {
  const lease = await arrangeLeased(admin, schedule, { attempt: 3 });
  await atOneInstant(executor, async (sql) => {
    await returnLeases(sql, [lease], 600_000);
    expect(await readRun(sql, lease)).toMatchObject({
      state: "queued",
      attempt: 2,
      leaseToken: null,
      executor: null,
      startedInMs: null,
      sweepInMs: 600_000,
    });
  });
  expect(await readAttempts(admin, lease)).toEqual([]);
});

test("a run returned before it is due is looked for long after it was due", async () => {
  const lease = await arrangeLeased(admin, schedule, { dueInMs: 60_000 });
  await atOneInstant(executor, async (sql) => {
    await returnLeases(sql, [lease], 600_000);
    const { sweepInMs, dueInMs } = await readRun(sql, lease);
    expect(sweepInMs).toBeCloseTo(dueInMs + 600_000, 3);
  });
});

test("a lease that was taken by another, or whose run has ended, is not returned", async () => {
  const taken = await arrangeLeased(admin, schedule);
  const ended = await arrangeLeased(admin, schedule, { state: "succeeded" });
  await returnLeases(executor, [{ ...taken, leaseToken: randomUUID() }, ended], 600_000);
  expect(await readRun(admin, taken)).toMatchObject({ state: "running", attempt: 1, leaseToken: taken.leaseToken });
  expect(await readRun(admin, ended)).toMatchObject({ state: "succeeded", attempt: 1 });
});

test("another tenant's id in front of a lease neither renews nor returns it", async () => {
  const lease = await arrangeLeased(admin, schedule);
  const forged = { ...lease, tenantId: randomUUID() };
  expect(await renewLeases(executor, [forged], 45_000)).toEqual(new Set());
  await returnLeases(executor, [forged], 600_000);
  expect(await readRun(admin, lease)).toMatchObject({ state: "running", leaseToken: lease.leaseToken });
});
