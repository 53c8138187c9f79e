import { markQueued } from "./mark-queued.ts";
import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql, TransactionSql } from "./connect.ts";
import type { RunKey } from "./run-key.ts";
import { finalRunStates, type RunState } from "./run-states.ts";
import {
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  atOneInstant,
  readAttempts,
  readJournal,
  readRun,
  readStats,
} from "./runs.test-support.ts";
import { type OverdueRun, takeOverdue, type TakeOverdueOptions } from "./take-overdue.ts";

let database: TestDatabase;
let admin: Sql;
let dispatcher: Sql;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  dispatcher = database.connectAs("downbeat_dispatcher");
});
afterAll(() => database.drop());
beforeEach(async () => {
  await admin`update downbeat.runs set sweep_at = null`;
  schedule = await arrangeSchedule(admin);
});

const limits: TakeOverdueOptions = {
  runsMax: 100,
  publishTimeoutMs: 10_000,
  redrivesMax: 5,
  attemptsMax: 9,
  areLeasesJudged: true,
  leaseGraceMs: 0,
};
const take = (sql: TransactionSql, options: Partial<TakeOverdueOptions> = {}): Promise<OverdueRun[]> =>
  takeOverdue(sql, { ...limits, ...options });
const sweep = (options?: Partial<TakeOverdueOptions>) => dispatcher.begin((sql) => take(sql, options));
const idsOf = (runs: readonly RunKey[]) => runs.map(({ runId }) => runId).sort();

test("a run that was claimed and not sent in time is sent, and looked for again if that fails too", async () => {
  const run = await arrangeRun(admin, schedule, { state: "pending", scheduledInMs: 30_000, sweepInMs: -1 });
  await atOneInstant(dispatcher, async (sql) => {
    const [taken] = await take(sql);
    const row = await readRun(sql, run);
    expect(taken).toMatchObject({ ...run, found: "unsent", isSendable: true, attempt: 0 });
    expect((taken?.dueAt ?? 0) - (taken?.nowAt ?? 0)).toBeCloseTo(row.dueInMs, 1);
    expect(row).toMatchObject({ state: "pending", attempt: 0, redrives: 0, sweepInMs: 10_000 });
  });
  // The row says it; an outage of the queue must not fill the journal.
  expect(await readJournal(admin, run)).toEqual([]);
});

test("a retry that is near is sent with the instant it is due, which is the ordinary path", async () => {
  const run = await arrangeRun(admin, schedule, { state: "retrying", attempt: 2, dueInMs: 55_000, sweepInMs: -1 });
  await atOneInstant(dispatcher, async (sql) => {
    const [taken] = await take(sql);
    expect(taken).toMatchObject({ ...run, found: "retry_due", isSendable: true, attempt: 2 });
    expect((taken?.dueAt ?? 0) - (taken?.nowAt ?? 0)).toBeCloseTo((await readRun(sql, run)).dueInMs, 1);
    expect(await readRun(sql, run)).toMatchObject({ state: "retrying", attempt: 2, sweepInMs: 10_000 });
  });
  expect(await readJournal(admin, run)).toEqual([]);
});

test("a run that the queue seems to have lost is sent again, and each time waited for twice as long: a backlog must not feed itself", async () => {
  const lostAfterMs = 600_000;
  const run = await arrangeRun(admin, schedule, { state: "queued", dueInMs: -600_000, queuedInMs: -660_000, sweepInMs: 0 });
  const waits: (number | null)[] = [];
  for (let redrives = 1; redrives <= 5; redrives += 1) {
    await atOneInstant(dispatcher, async (sql) => {
      const [taken] = await take(sql);
      expect(taken).toMatchObject({ ...run, found: "lost_in_queue", isSendable: true });
      expect(await readRun(sql, run)).toMatchObject({ state: "pending", redrives, attempt: 0, sweepInMs: 10_000 });
      await markQueued(sql, [{ ...run, attempt: 0 }], lostAfterMs);
      const row = await readRun(sql, run);
      expect(row).toMatchObject({ state: "queued", redrives, queuedInMs: 0, attempt: 0 });
      waits.push(Math.round((row.sweepInMs ?? 0) / 1_000));
    });
    // The whole wait passes.
    await admin`update downbeat.runs set sweep_at = now() where id = ${run.runId}`;
  }
  expect(waits).toEqual([1_200, 2_400, 4_800, 9_600, 19_200]);
  expect(await readJournal(admin, run)).toEqual(Array.from({ length: 5 }, () => "dispatcher pending lost_in_queue"));
});

test("while the queue is away, a lost run does not use up its chances: only what was sent counts", async () => {
  const run = await arrangeRun(admin, schedule, { state: "queued", redrives: 4, queuedInMs: -1, sweepInMs: 0 });
  for (let pass = 1; pass <= 3; pass += 1) {
    await atOneInstant(dispatcher, async (sql) => {
      expect(await take(sql)).toMatchObject([{ ...run, isSendable: true }]);
      expect(await readRun(sql, run)).toMatchObject({ state: "pending", redrives: 5 });
    });
    await admin`update downbeat.runs set sweep_at = now() where id = ${run.runId}`;
  }
});

test("a run that was sent often enough without any executor taking it up is given up as lost in the queue", async () => {
  const run = await arrangeRun(admin, schedule, { state: "queued", redrives: 5, queuedInMs: -1, sweepInMs: 0 });
  await atOneInstant(dispatcher, async (sql) => {
    expect(await take(sql)).toMatchObject([{ ...run, found: "lost_in_queue", isSendable: false }]);
    expect(await readRun(sql, run)).toMatchObject({
      state: "failed",
      reason: "lost_in_queue",
      sweepInMs: null,
      finishedInMs: 0,
      redrives: 5,
    });
  });
  expect(await readJournal(admin, run)).toEqual(["dispatcher failed lost_in_queue"]);
  expect(await readAttempts(admin, run)).toEqual([]);
  expect(await readStats(admin, schedule)).toEqual({
    succeeded: 0,
    failed: 1,
    consecutiveFailures: 1,
    lastState: "failed",
    lastError: "lost_in_queue",
  });
});

test("after an outage, leases that ran out in it are left to their executors; everything else is swept", async () => {
  const leased = await arrangeLeased(admin, schedule, { sweepInMs: -1 });
  const unsent = await arrangeRun(admin, schedule, { state: "pending", sweepInMs: -1 });
  const weekMs = 7 * 86_400_000;
  for (const grace of [{ areLeasesJudged: false }, { leaseGraceMs: weekMs }]) {
    await admin`update downbeat.runs set sweep_at = now() where id = ${unsent.runId}`;
    await atOneInstant(dispatcher, async (sql) => {
      expect((await take(sql, grace)).map(({ runId }) => runId)).toEqual([unsent.runId]);
    });
  }
  expect(await readRun(admin, leased)).toMatchObject({ state: "running" });
});

test("a run whose executor is gone is tried again at once, under the same id; the lost attempt stays on record, its outcome unknown", async () => {
  const run = await arrangeLeased(admin, schedule, { attempt: 2, sweepInMs: -1 });
  await atOneInstant(dispatcher, async (sql) => {
    expect(await take(sql)).toMatchObject([
      { tenantId: run.tenantId, runId: run.runId, found: "lease_lost", isSendable: true, attempt: 2 },
    ]);
    expect(await readRun(sql, run)).toMatchObject({
      state: "retrying",
      reason: null,
      attempt: 2,
      dueInMs: 0,
      sweepInMs: 10_000,
      leaseToken: null,
    });
  });
  expect(await readAttempts(admin, run)).toEqual([
    { attempt: 2, outcome: "unknown", code: "lease_lost", httpStatus: null, excerpt: null, executor: "executor-1" },
  ]);
  expect(await readJournal(admin, run)).toEqual(["dispatcher retrying lease_lost"]);
  expect(await readStats(admin, schedule)).toBeUndefined();
});

test("a run whose executor is gone in its last attempt has failed, and is not sent", async () => {
  const run = await arrangeLeased(admin, schedule, { attempt: 9, sweepInMs: -1 });
  await atOneInstant(dispatcher, async (sql) => {
    expect(await take(sql)).toMatchObject([{ found: "lease_lost", isSendable: false }]);
    expect(await readRun(sql, run)).toMatchObject({
      state: "failed",
      reason: "attempts_exhausted",
      sweepInMs: null,
      finishedInMs: 0,
      leaseToken: null,
    });
  });
  expect(await readAttempts(admin, run)).toMatchObject([{ attempt: 9, outcome: "unknown" }]);
  expect(await readJournal(admin, run)).toEqual(["dispatcher failed attempts_exhausted"]);
  expect(await readStats(admin, schedule)).toMatchObject({ failed: 1, consecutiveFailures: 1, lastError: "lease_lost" });
});

test("the executor of a lease that was taken can write nothing any more", async () => {
  const run = await arrangeLeased(admin, schedule, { sweepInMs: -1 });
  await sweep();
  const written = await database.connectAs("downbeat_executor", 1)`
    update downbeat.runs set state = 'succeeded' where id = ${run.runId} and lease_token = ${run.leaseToken} and state = 'running' returning id`;
  expect(written).toHaveLength(0);
});

test("what is not overdue is not touched, and final runs never are", async () => {
  const waiting = await Promise.all(
    (["pending", "queued", "running", "retrying"] as const).map((state) =>
      arrangeRun(admin, schedule, { state, sweepInMs: 60_000, leaseToken: randomUUID() }),
    ),
  );
  const over = await Promise.all([...finalRunStates].map((state: RunState) => arrangeRun(admin, schedule, { state })));
  expect(await sweep()).toEqual([]);
  for (const run of [...waiting, ...over]) expect(await readJournal(admin, run)).toEqual([]);
});

test("one sweep takes at most so many, the longest overdue first, and the next ones take the rest", async () => {
  const runs: RunKey[] = [];
  for (let index = 0; index < 5; index += 1)
    runs.push(await arrangeRun(admin, schedule, { state: "pending", sweepInMs: -1_000 * (index + 1) }));
  expect(idsOf(await sweep({ runsMax: 2 }))).toEqual(idsOf(runs.slice(3)));
  expect(idsOf(await sweep({ runsMax: 2 }))).toEqual(idsOf(runs.slice(1, 3)));
  expect(idsOf(await sweep({ runsMax: 2 }))).toEqual(idsOf(runs.slice(0, 1)));
  expect(await sweep()).toEqual([]);
});

test("sweeps of several dispatchers share what is overdue, and neither waits for the other or for an executor that is writing", async () => {
  const [held, ...free] = await Promise.all(
    Array.from({ length: 9 }, () => arrangeRun(admin, schedule, { state: "pending", sweepInMs: -1 })),
  );
  await admin.begin(async (executorSql) => {
    await executorSql`select from downbeat.runs where id = ${held?.runId ?? ""} for update`;
    const first = await dispatcher.begin(async (sql) => {
      const taken = await take(sql, { runsMax: 4 });
      const second = await sweep();
      expect(idsOf([...taken, ...second])).toEqual(idsOf(free));
      return taken;
    });
    expect(first).toHaveLength(4);
  });
  expect(idsOf(await sweep())).toEqual([held?.runId]);
});

test("a sweep for one tenant leaves the others' runs", async () => {
  const other = await arrangeSchedule(admin);
  const ours = await arrangeRun(admin, schedule, { state: "pending", sweepInMs: -1 });
  await arrangeRun(admin, other, { state: "pending", sweepInMs: -2 });
  expect(idsOf(await sweep({ tenantId: schedule.tenantId }))).toEqual([ours.runId]);
});

test("an attempt that was recorded and whose run is swept all the same keeps its recorded outcome", async () => {
  const run = await arrangeLeased(admin, schedule, { sweepInMs: -1 });
  await admin`insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, http_status, finished_at) values (${run.tenantId}, ${run.runId}, 1, 'success', 204, now())`;
  await sweep();
  expect(await readAttempts(admin, run)).toMatchObject([{ attempt: 1, outcome: "success", httpStatus: 204 }]);
});
