import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { type AttemptRecord, recordOutcomes } from "./record-outcomes.ts";
import type { Lease } from "./renew-leases.ts";
import {
  arrangeLeased,
  arrangeSchedule,
  type ArrangedSchedule,
  atOneInstant,
  readAttempts,
  readJournal,
  readRun,
  readStats,
} from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let executor: Sql;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  executor = database.connectAs("downbeat_executor");
});
afterAll(() => database.drop());
beforeEach(async () => {
  schedule = await arrangeSchedule(admin);
});

/** Of a call that started now and took 40 ms. */
function success(lease: Lease, fields: Partial<AttemptRecord> = {}): AttemptRecord {
  const { tenantId, runId, leaseToken } = lease;
  const call = {
    attempt: 1,
    outcome: "success",
    code: null,
    httpStatus: 204,
    startedAt: Date.now(),
    durationMs: 40,
    responseExcerpt: "",
  } as const;
  return { tenantId, runId, leaseToken, ...call, next: { state: "succeeded" }, ...fields };
}

const failure = (lease: Lease, fields: Partial<AttemptRecord> = {}) =>
  success(lease, { outcome: "permanent", code: "http_400", httpStatus: 400, next: { state: "failed", reason: "rejected" }, ...fields });

const retry = (lease: Lease, delayMs: number, fields: Partial<AttemptRecord> = {}) =>
  success(lease, { outcome: "transient", code: "http_503", httpStatus: 503, next: { state: "retrying", delayMs }, ...fields });

/** Answers the tokens that were recorded. */
async function record(...records: AttemptRecord[]): Promise<Set<string>> {
  return new Set((await recordOutcomes(executor, records, "executor-1")).map(({ leaseToken }) => leaseToken));
}

test("a success is final: when the call started and ended, what the target answered, and no journal line for the ordinary path", async () => {
  const lease = await arrangeLeased(admin, schedule);
  await atOneInstant(executor, async (sql) => {
    const [clock] = await sql<{ at: number }[]>`select (extract(epoch from now()) * 1000)::float8 as at`;
    expect(await recordOutcomes(sql, [success(lease, { startedAt: clock?.at ?? 0 })], "executor-1")).toEqual([
      { ...lease, scheduleId: schedule.scheduleId, state: "succeeded", mayBeAwaited: false, isBackfill: false, mayPause: false },
    ]);
    const row = await readRun(sql, lease);
    expect(row).toMatchObject({ state: "succeeded", reason: null, httpStatus: 204, attempt: 1, sweepInMs: null, leaseToken: null });
    expect(row.startedInMs).toBeCloseTo(0, 1);
    expect(row.finishedInMs).toBeCloseTo(40, 1);
  });
  expect(await readAttempts(admin, lease)).toEqual([
    { attempt: 1, outcome: "success", code: null, httpStatus: 204, excerpt: "", executor: "executor-1" },
  ]);
  expect(await readJournal(admin, lease)).toEqual([]);
  expect(await readStats(admin, schedule)).toEqual({
    succeeded: 1,
    failed: 0,
    consecutiveFailures: 0,
    lastState: "succeeded",
    lastError: null,
  });
});

test("a failure is final, with the reason on the run and what happened on the attempt", async () => {
  const lease = await arrangeLeased(admin, schedule, { attempt: 3 });
  await record(failure(lease, { attempt: 3, responseExcerpt: "no such order" }));
  const row = await readRun(admin, lease);
  expect(row).toMatchObject({ state: "failed", reason: "rejected", httpStatus: 400, sweepInMs: null, leaseToken: null });
  expect(row.finishedInMs).not.toBeNull();
  expect(await readAttempts(admin, lease)).toEqual([
    { attempt: 3, outcome: "permanent", code: "http_400", httpStatus: 400, excerpt: "no such order", executor: "executor-1" },
  ]);
  expect(await readJournal(admin, lease)).toEqual(["executor-1 failed rejected"]);
  expect(await readStats(admin, schedule)).toEqual({
    succeeded: 0,
    failed: 1,
    consecutiveFailures: 1,
    lastState: "failed",
    lastError: "http_400",
  });
});

test("a failed attempt that will be repeated is due after its delay, counted from the database's now, and is no failure of the schedule yet", async () => {
  const lease = await arrangeLeased(admin, schedule);
  await atOneInstant(executor, async (sql) => {
    await recordOutcomes(sql, [retry(lease, 300_000)], "executor-1");
    expect(await readRun(sql, lease)).toMatchObject({
      state: "retrying",
      reason: null,
      attempt: 1,
      httpStatus: 503,
      dueInMs: 300_000,
      // Handed to the queue, with a delay, a minute before it is due.
      sweepInMs: 240_000,
      finishedInMs: null,
      leaseToken: null,
    });
  });
  expect(await readAttempts(admin, lease)).toMatchObject([{ attempt: 1, outcome: "transient", code: "http_503" }]);
  expect(await readJournal(admin, lease)).toEqual(["executor-1 retrying http_503"]);
  expect(await readStats(admin, schedule)).toBeUndefined();
});

test("a retry that is due within the minute may be sent at once", async () => {
  const lease = await arrangeLeased(admin, schedule);
  await atOneInstant(executor, async (sql) => {
    await recordOutcomes(sql, [retry(lease, 5_000)], "executor-1");
    expect(await readRun(sql, lease)).toMatchObject({ dueInMs: 5_000, sweepInMs: 0 });
  });
});

test.for([
  ["was taken by the sweep and leased by another", { leaseToken: randomUUID(), attempt: 2 }],
  ["was taken by the sweep and waits for its next attempt", { state: "retrying" }],
  ["has already been recorded as something else", { state: "failed", reason: "rejected" }],
] as const)("an executor whose run %s writes nothing at all", async ([, fields]) => {
  const lease = await arrangeLeased(admin, schedule, fields);
  const before = await readRun(admin, lease);
  const late = { ...lease, leaseToken: "leaseToken" in fields ? randomUUID() : lease.leaseToken };
  expect(await record(success(late))).toEqual(new Set());
  const after = await readRun(admin, lease);
  expect({ ...after, dueInMs: 0, sweepInMs: 0, startedInMs: 0 }).toEqual({ ...before, dueInMs: 0, sweepInMs: 0, startedInMs: 0 });
  expect([await readAttempts(admin, lease), await readJournal(admin, lease), await readStats(admin, schedule)]).toEqual([
    [],
    [],
    undefined,
  ]);
});

test("of a batch every run is recorded as its own outcome says, and a fenced one costs the others nothing", async () => {
  const other = await arrangeSchedule(admin);
  const [a, b, c, fenced] = [
    await arrangeLeased(admin, schedule),
    await arrangeLeased(admin, schedule),
    await arrangeLeased(admin, other),
    await arrangeLeased(admin, other),
  ];
  const recorded = await record(retry(a, 5_000), success(b), failure(c), success({ ...fenced, leaseToken: randomUUID() }));
  expect(recorded).toEqual(new Set([a.leaseToken, b.leaseToken, c.leaseToken]));
  const states = await Promise.all([a, b, c, fenced].map(async (run) => (await readRun(admin, run)).state));
  expect(states).toEqual(["retrying", "succeeded", "failed", "running"]);
  expect(await readStats(admin, schedule)).toMatchObject({ succeeded: 1, failed: 0 });
  expect(await readStats(admin, other)).toMatchObject({ succeeded: 0, failed: 1 });
});

test("the same outcome recorded twice is recorded once", async () => {
  const lease = await arrangeLeased(admin, schedule);
  expect((await record(success(lease))).size).toBe(1);
  expect((await record(success(lease))).size).toBe(0);
  expect(await readAttempts(admin, lease)).toHaveLength(1);
  expect(await readStats(admin, schedule)).toMatchObject({ succeeded: 1 });
});

test("failures in a row are counted across records, and a success ends the row", async () => {
  const consecutive: unknown[] = [];
  for (const outcome of [failure, failure, success, failure]) {
    await record(outcome(await arrangeLeased(admin, schedule)));
    consecutive.push((await readStats(admin, schedule))?.["consecutiveFailures"]);
  }
  expect(consecutive).toEqual([1, 2, 0, 1]);
  expect(await readStats(admin, schedule)).toMatchObject({ succeeded: 1, failed: 3, lastState: "failed", lastError: "http_400" });
});

test("within one batch the row of failures is the one after the newest success, whatever the order of the records", async () => {
  const at = Date.now();
  const leases = await Promise.all(Array.from({ length: 5 }, () => arrangeLeased(admin, schedule)));
  const [first, second, third, fourth, fifth] = leases as [Lease, Lease, Lease, Lease, Lease];
  await record(failure(first, { startedAt: at }));
  await record(
    failure(fifth, { startedAt: at + 4_000 }),
    failure(second, { startedAt: at + 1_000 }),
    success(third, { startedAt: at + 2_000 }),
    failure(fourth, { startedAt: at + 3_000 }),
  );
  expect(await readStats(admin, schedule)).toEqual({
    succeeded: 1,
    failed: 4,
    consecutiveFailures: 2,
    lastState: "failed",
    lastError: "http_400",
  });
});

test("executors that record runs of the same schedules in opposite order do not deadlock", async () => {
  const schedules = [schedule, await arrangeSchedule(admin), await arrangeSchedule(admin)];
  const half = async () => {
    const leases: Lease[] = [];
    for (let index = 0; index < 30; index += 1) leases.push(await arrangeLeased(admin, schedules[index % 3] as ArrangedSchedule));
    return leases;
  };
  const halves = [await half(), await half()] as const;
  const recorded = await Promise.all([
    record(...halves[0].map((lease) => success(lease))),
    record(...halves[1].toReversed().map((lease) => failure(lease))),
  ]);
  expect(recorded.map(({ size }) => size)).toEqual([30, 30]);
  for (const each of schedules) expect(await readStats(admin, each)).toMatchObject({ succeeded: 10, failed: 10 });
});

test.for([
  ["succeeded", success, { mayBeAwaited: true, mayPause: false }],
  ["failed", failure, { mayBeAwaited: true, mayPause: true }],
  ["is to be tried again", (lease: Lease) => retry(lease, 5_000), { mayBeAwaited: false, mayPause: false }],
] as const)(
  "of a run that %s is told whether others may wait for its end, and whether it may have been one failure too many",
  async ([, outcome, told]) => {
    for (const overlap of ["queue_one", "queue_all"] as const) {
      const watched = await arrangeSchedule(admin, schedule, { overlap, max_failures: 3 });
      const recorded = await recordOutcomes(executor, [outcome(await arrangeLeased(admin, watched))], "executor-1");
      expect(recorded).toMatchObject([{ ...told, isBackfill: false }]);
    }
    const plain = await recordOutcomes(executor, [outcome(await arrangeLeased(admin, schedule))], "executor-1");
    expect(plain).toMatchObject([{ mayBeAwaited: false, mayPause: false }]);
  },
);

test("a run of a backfill is told from the others", async () => {
  const lease = await arrangeLeased(admin, schedule, { triggerId: `backfill ${randomUUID()}` });
  expect(await recordOutcomes(executor, [success(lease)], "executor-1")).toMatchObject([{ isBackfill: true }]);
});
