import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { type LeaseAnswer, type LeasedRun, leaseRuns } from "./lease-runs.ts";
import type { RunKey } from "./run-key.ts";
import { finalRunStates, type RunState } from "./run-states.ts";
import {
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  atOneInstant,
  readJournal,
  readRun,
  type RunFields,
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

async function lease(keys: readonly RunKey[], sql = executor): Promise<LeaseAnswer[]> {
  return (await leaseRuns(sql, { keys, executor: "executor-1", leaseMs: 45_000, holdMsMax: 30_000 })).answers;
}

const verdictsOf = (answers: readonly LeaseAnswer[]) => answers.map(({ verdict }) => verdict);
const leasedOf = (answers: readonly LeaseAnswer[]): LeasedRun[] =>
  answers.flatMap((answer) => (answer.verdict === "leased" ? [answer.run] : []));

test.for(["pending", "queued", "retrying"] as const)(
  "a run that is %s and due is leased: running, one attempt further, under a token of its own until its lease ends",
  async (state) => {
    const run = await arrangeRun(admin, schedule, { state, attempt: state === "retrying" ? 3 : 0, sweepInMs: 600_000 });
    await atOneInstant(executor, async (sql) => {
      const [leased] = leasedOf(await lease([run], sql));
      const row = await readRun(sql, run);
      expect(row).toMatchObject({
        state: "running",
        attempt: state === "retrying" ? 4 : 1,
        executor: "executor-1",
        startedInMs: 0,
        sweepInMs: 45_000,
      });
      expect(leased).toMatchObject({
        ...run,
        attempt: row.attempt,
        leaseToken: row.leaseToken,
        scheduleId: schedule.scheduleId,
        endpointId: schedule.endpointId,
        endpointRevision: 1,
        target: { type: "http", method: "POST", path: "/hook" },
        input: {},
      });
      expect((leased?.leasedUntil ?? 0) - (leased?.dueAt ?? 0)).toBeCloseTo(45_000 - row.dueInMs, 1);
    });
  },
);

test.for(["running", ...finalRunStates] as RunState[])(
  "a run that is %s is gone: the message has nothing to say any more",
  async (state) => {
    const run = await arrangeRun(admin, schedule, { state, attempt: 1, leaseToken: randomUUID(), executor: "executor-2" });
    const before = await readRun(admin, run);
    expect(await lease([run])).toEqual([{ verdict: "gone", key: run }]);
    expect(await readRun(admin, run)).toMatchObject({ state, attempt: 1, leaseToken: before.leaseToken, executor: "executor-2" });
  },
);

test("a run due within the time an executor holds runs is leased now, and its lease counts from the instant it is due", async () => {
  const run = await arrangeRun(admin, schedule, { scheduledInMs: 20_000 });
  await atOneInstant(executor, async (sql) => {
    expect(verdictsOf(await lease([run], sql))).toEqual(["leased"]);
    const { startedInMs, dueInMs, sweepInMs } = await readRun(sql, run);
    expect(startedInMs).toBe(dueInMs);
    expect(sweepInMs).toBeCloseTo(dueInMs + 45_000, 3);
  });
});

test("a run due later than that is early and left as it is, also a retry", async () => {
  const first = await arrangeRun(admin, schedule, { scheduledInMs: 600_000 });
  const retry = await arrangeRun(admin, schedule, { state: "retrying", attempt: 1, dueInMs: 600_000 });
  const answers = await lease([first, retry]);
  expect(verdictsOf(answers)).toEqual(["early", "early"]);
  const { nowAt } = await leaseRuns(executor, { keys: [first], executor: "executor-1", leaseMs: 45_000, holdMsMax: 30_000 });
  for (const answer of answers)
    expect(answer).toMatchObject({ dueAt: expect.toSatisfy((at: number) => at > nowAt + 500_000 && at <= nowAt + 600_000) });
  expect(await readRun(admin, first)).toMatchObject({ state: "queued", attempt: 0, leaseToken: null });
  expect(await readRun(admin, retry)).toMatchObject({ state: "retrying", attempt: 1 });
});

/** An edit or pause of the schedule. */
async function revise(revisedInMs = 0): Promise<void> {
  await admin`update downbeat.schedules set revision = revision + 1, revised_at = now() + ${revisedInMs}::float8 * interval '1 millisecond'
    where id = ${schedule.scheduleId}`;
}

test("a future run of a revision that has been edited is canceled, with a line in the journal", async () => {
  const run = await arrangeRun(admin, schedule, { scheduledInMs: 20_000, sweepInMs: 600_000 });
  await revise();
  expect(await lease([run])).toEqual([{ verdict: "canceled", key: run }]);
  expect(await readRun(admin, run)).toMatchObject({
    state: "canceled",
    reason: "schedule_changed",
    attempt: 0,
    sweepInMs: null,
    leaseToken: null,
  });
  expect((await readRun(admin, run)).finishedInMs).not.toBeNull();
  expect(await readJournal(admin, run)).toEqual(["executor-1 canceled schedule_changed"]);
});

test.for([
  ["was already due when the schedule was edited", { scheduledInMs: -2_000 }],
  ["was made by the newest revision", { scheduledInMs: 20_000, revision: 2 }],
  ["was asked for by a person, whatever happens to the rule", { scheduledInMs: 20_000, triggerId: "request-1" }],
  ["is being retried: it had started before the edit", { state: "retrying", attempt: 1, dueInMs: 20_000 }],
] as [string, RunFields][])("an edit does not cancel a run that %s", async ([, fields]) => {
  const run = await arrangeRun(admin, schedule, fields);
  await revise(-500);
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
});

test("a canceled run is canceled even if it is too early to be leased", async () => {
  const run = await arrangeRun(admin, schedule, { scheduledInMs: 600_000 });
  await revise();
  expect(verdictsOf(await lease([run]))).toEqual(["canceled"]);
});

test("a key that names no run is unknown, and costs the others of the batch nothing", async () => {
  const run = await arrangeRun(admin, schedule);
  const unknown = { tenantId: schedule.tenantId, runId: randomUUID() };
  const answers = await lease([unknown, run]);
  expect(verdictsOf(answers).sort()).toEqual(["leased", "unknown"]);
  expect(answers).toContainEqual({ verdict: "unknown", key: unknown });
  expect(await lease([unknown])).toEqual([{ verdict: "unknown", key: unknown }]);
});

test("another tenant's id in front of a run's id is unknown, and the run is untouched", async () => {
  const other = await arrangeSchedule(admin);
  const run = await arrangeRun(admin, schedule);
  const forged = { tenantId: other.tenantId, runId: run.runId };
  expect(await lease([forged])).toEqual([{ verdict: "unknown", key: forged }]);
  expect(await readRun(admin, run)).toMatchObject({ state: "queued", attempt: 0, leaseToken: null });
});

test("a run named twice in one batch is leased once", async () => {
  const run = await arrangeRun(admin, schedule);
  expect(leasedOf(await lease([run, run]))).toHaveLength(1);
  expect(await readRun(admin, run)).toMatchObject({ attempt: 1 });
});

test("two executors that lease the same runs in opposite order get each run once, and no deadlock", async () => {
  const runs: RunKey[] = [];
  const schedules: string[] = [];
  for (let index = 0; index < 40; index += 1) {
    // Of a schedule each, for runs of one schedule do not run beside each other.
    const of = await arrangeSchedule(admin, schedule);
    schedules.push(of.scheduleId);
    runs.push(await arrangeRun(admin, of));
  }
  for (let round = 0; round < 5; round += 1) {
    const answers = (await Promise.all([lease(runs), lease(runs.toReversed()), lease(runs), lease(runs.toReversed())])).flat();
    expect(
      leasedOf(answers)
        .map((run) => run.runId)
        .sort(),
    ).toEqual(runs.map((run) => run.runId).sort());
    await admin`update downbeat.runs set state = 'queued' where schedule_id = any(${schedules}::uuid[])`;
  }
});

test("every lease has a token of its own, also the next lease of the same run", async () => {
  const run = await arrangeLeased(admin, schedule);
  await admin`update downbeat.runs set state = 'retrying' where id = ${run.runId}`;
  const [again] = leasedOf(await lease([run]));
  expect(again?.leaseToken).not.toBe(run.leaseToken);
});

test("the answer carries the database's clock, and none when there was nothing to look at", async () => {
  const options = { executor: "executor-1", leaseMs: 45_000, holdMsMax: 30_000 };
  const { nowAt } = await leaseRuns(executor, { ...options, keys: [await arrangeRun(admin, schedule)] });
  const [clock] = await admin<{ at: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`;
  expect(nowAt).toBeLessThanOrEqual(clock?.at ?? 0);
  expect(nowAt).toBeGreaterThan((clock?.at ?? 0) - 30_000);
  expect((await leaseRuns(executor, { ...options, keys: [] })).nowAt).toBeNaN();
});
