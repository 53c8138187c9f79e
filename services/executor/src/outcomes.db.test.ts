import { randomUUID } from "node:crypto";
import type { Lease } from "@downbeat/store/renew-leases.ts";
import type { AttemptRecord } from "@downbeat/store/record-outcomes.ts";
import { arrangeLeased, arrangeSchedule, type ArrangedSchedule, readAttempts, readRun } from "@downbeat/store/runs.test-support.ts";
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
