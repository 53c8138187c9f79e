import { randomUUID } from "node:crypto";
import type { Lease } from "@downbeat/store/renew-leases.ts";
import type { AttemptRecord } from "@downbeat/store/record-outcomes.ts";
import {
  arrangeGate,
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  readAttempts,
  readRun,
} from "@downbeat/store/runs.test-support.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Outcomes } from "./outcomes.ts";

let database: TestDatabase;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  schedule = await arrangeSchedule(database.admin);
});
afterAll(() => database.drop());

function arrange(connectionsMax = 2) {
  const clock = new ManualClock(0);
  const stop = new AbortController();
  const { log, lines } = captureLog();
  const sql = database.connectAs("downbeat_executor", connectionsMax);
  const outcomes = new Outcomes({ sql, clock, random: () => 0, log, executor: "executor-1", delayMs: 20, signal: stop.signal });
  return { clock, stop, sql, lines, outcomes };
}

function success({ tenantId, runId, leaseToken }: Lease, responseExcerpt = ""): AttemptRecord {
  const call = {
    attempt: 1,
    outcome: "success",
    code: null,
    httpStatus: 200,
    startedAt: Date.now(),
    durationMs: 1,
    responseExcerpt,
  } as const;
  return { tenantId, runId, leaseToken, ...call, next: { state: "succeeded" } };
}

const stateOf = async (lease: Lease) => (await readRun(database.admin, lease)).state;

test("an outcome is answered when it is in the ledger", async () => {
  const { clock, outcomes } = arrange();
  const lease = await arrangeLeased(database.admin, schedule);
  const recorded = outcomes.record(success(lease));
  expect(await stateOf(lease)).toBe("running");
  clock.advance(20);
  expect(await recorded).toBe(true);
  expect(await stateOf(lease)).toBe("succeeded");
});

test("an outcome whose lease another holds is answered as fenced, and only that one", async () => {
  const { clock, outcomes } = arrange();
  const [held, taken] = [await arrangeLeased(database.admin, schedule), await arrangeLeased(database.admin, schedule)];
  const recorded = Promise.all([outcomes.record(success(held)), outcomes.record(success({ ...taken, leaseToken: randomUUID() }))]);
  clock.advance(20);
  expect(await recorded).toEqual([true, false]);
  expect(await stateOf(taken)).toBe("running");
});

test("a hundred outcomes go without waiting, in one statement", async () => {
  const { outcomes, sql } = arrange();
  const leases: Lease[] = [];
  for (let index = 0; index < 100; index += 1) leases.push(await arrangeLeased(database.admin, schedule));
  await Promise.all(leases.map((lease) => outcomes.record(success(lease))));
  const [row] = await sql`select count(distinct xmin::text)::int as transactions, count(*)::int as runs from downbeat.runs
    where id = any(${leases.map(({ runId }) => runId)}::uuid[])`;
  expect(row).toEqual({ transactions: 1, runs: 100 });
});

test("one row that Postgres will not take costs the others nothing, and its own caller is told", async () => {
  const { clock, outcomes, lines } = arrange();
  const leases = [
    await arrangeLeased(database.admin, schedule),
    await arrangeLeased(database.admin, schedule),
    await arrangeLeased(database.admin, schedule),
  ] as const;
  // Postgres text holds no NUL.
  const recorded = Promise.allSettled(leases.map((lease, index) => outcomes.record(success(lease, index === 1 ? "\0" : "ok"))));
  clock.advance(20);
  expect(await recorded).toMatchObject([
    { status: "fulfilled", value: true },
    { status: "rejected", reason: { code: "22021" } },
    { status: "fulfilled", value: true },
  ]);
  expect(await Promise.all(leases.map(stateOf))).toEqual(["succeeded", "running", "succeeded"]);
  expect(await readAttempts(database.admin, leases[1])).toEqual([]);
  expect(lines).toMatchObject([{ level: "error", records: 3 }]);
});

test("a row that Postgres will not take is told to its caller also when it is alone", async () => {
  const { clock, outcomes } = arrange();
  const recorded = outcomes.record(success(await arrangeLeased(database.admin, schedule), "\0"));
  clock.advance(20);
  await expect(recorded).rejects.toMatchObject({ code: "22021" });
});

test("while Postgres is away outcomes wait, and are given up only when the drain is over", async () => {
  const { clock, stop, sql, outcomes, lines } = arrange();
  await sql.end();
  const recorded = outcomes.record(success(await arrangeLeased(database.admin, schedule)));
  const drained = outcomes.drained();
  while (clock.sleeping === 0) await database.admin`select 1`;
  expect(lines).toMatchObject([{ level: "warn", action: "record outcomes", failures: 1 }]);
  stop.abort();
  await expect(recorded).rejects.toMatchObject({ name: "StoppedError" });
  await drained;
});

test("draining records what is waiting at once", async () => {
  const { outcomes } = arrange();
  const lease = await arrangeLeased(database.admin, schedule);
  const recorded = outcomes.record(success(lease));
  await outcomes.drained();
  expect(await recorded).toBe(true);
});

const failure = (lease: Lease): AttemptRecord => ({
  ...success(lease),
  outcome: "permanent",
  code: "http_400",
  httpStatus: 400,
  next: { state: "failed", reason: "rejected" },
});

const isPaused = async ({ scheduleId }: ArrangedSchedule) => {
  const [row] = await database.admin`select paused_at is not null as "isPaused" from downbeat.schedules where id = ${scheduleId}`;
  return row?.["isPaused"] as boolean;
};

test.for([
  ["succeeded", success],
  ["failed", failure],
] as const)("when a run has %s the next in line has its turn; nobody waits for that but the drain", async ([, outcome]) => {
  const { outcomes } = arrange();
  const queueing = await arrangeSchedule(database.admin, schedule, { overlap: "queue_all" });
  const lease = await arrangeLeased(database.admin, queueing);
  const next = await arrangeRun(database.admin, queueing, { state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(database.admin, queueing, { holders: [lease], waiting: [next] });
  const recorded = outcomes.record(outcome(lease));
  await outcomes.drained();
  expect(await recorded).toBe(true);
  expect((await readRun(database.admin, next)).sweepInMs).toBeLessThanOrEqual(0);
});

test("a run that will be tried again keeps its place: the next in line goes on waiting", async () => {
  const { outcomes } = arrange();
  const queueing = await arrangeSchedule(database.admin, schedule, { overlap: "queue_all" });
  const lease = await arrangeLeased(database.admin, queueing);
  const next = await arrangeRun(database.admin, queueing, { state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(database.admin, queueing, { holders: [lease], waiting: [next] });
  void outcomes.record({ ...success(lease), outcome: "transient", code: "http_503", next: { state: "retrying", delayMs: 5_000 } });
  await outcomes.drained();
  expect(await stateOf(lease)).toBe("retrying");
  expect((await readRun(database.admin, next)).sweepInMs).toBeGreaterThan(60_000);
});

test("a schedule that failed as often in a row as it may is paused, and told in one line", async () => {
  const { outcomes, lines } = arrange();
  const watched = await arrangeSchedule(database.admin, schedule, { max_failures: 2 });
  for (const [index, expected] of [false, true].entries()) {
    void outcomes.record(failure(await arrangeLeased(database.admin, watched)));
    await outcomes.drained();
    expect([index, await isPaused(watched)]).toEqual([index, expected]);
  }
  expect(lines).toMatchObject([{ level: "warn", schedule: watched.scheduleId, failures: 2 }]);
});

test("what follows from an outcome may fail: it is told, and the outcome stands", async () => {
  const { outcomes, lines } = arrange();
  const watched = await arrangeSchedule(database.admin, schedule, { max_failures: 1 });
  const lease = await arrangeLeased(database.admin, watched);
  await database.admin`alter table downbeat.schedules add constraint no_pause check (paused_at is null) not valid`;
  const recorded = outcomes.record(failure(lease));
  await outcomes.drained();
  await database.admin`alter table downbeat.schedules drop constraint no_pause`;
  expect(await recorded).toBe(true);
  expect(await stateOf(lease)).toBe("failed");
  expect(lines).toMatchObject([{ level: "warn", msg: expect.stringContaining("cannot follow up on outcomes") }]);
  // The next failure makes up for it.
  void outcomes.record(failure(await arrangeLeased(database.admin, watched)));
  await outcomes.drained();
  expect(await isPaused(watched)).toBe(true);
});
