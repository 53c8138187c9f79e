import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { databaseNow } from "@downbeat/testkit/arrange.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { type Claim, type ClaimedRun, type ClaimedStretch, insertClaimed, type InsertedRun } from "./insert-claimed.ts";
import { runId } from "./run-id.ts";
import type { RunState } from "./run-states.ts";
import { arrangeSchedule, type ArrangedSchedule, atOneInstant, readRun } from "./runs.test-support.ts";

let database: TestDatabase;
let dispatcher: Sql;
let schedule: ArrangedSchedule;
let now: number;

beforeAll(async () => {
  database = await createTestDatabase();
  dispatcher = database.connectAs("downbeat_dispatcher");
});
afterAll(() => database.drop());
beforeEach(async () => {
  schedule = await arrangeSchedule(database.admin);
  now = Math.floor(await databaseNow(database.admin));
});

function claimedRun(scheduledFor: number, fields: Partial<ClaimedRun> = {}): ClaimedRun {
  const { tenantId, scheduleId } = schedule;
  return {
    tenantId,
    runId: runId(scheduleId, scheduledFor),
    scheduleId,
    scheduleRevision: 1,
    scheduledFor,
    dueAt: scheduledFor,
    spreadMs: null,
    retryUntil: null,
    ...fields,
  };
}

/** `rangeCount` occurrences of which the last is at `scheduledFor`. */
function claimedStretch(scheduledFor: number, fields: Partial<ClaimedStretch> = {}): ClaimedStretch {
  const { tenantId, runId: id, scheduleId, scheduleRevision } = claimedRun(scheduledFor);
  return {
    tenantId,
    runId: id,
    scheduleId,
    scheduleRevision,
    scheduledFor,
    state: "missed",
    reason: "coalesced",
    rangeFrom: scheduledFor - 480_000,
    rangeCount: 9,
    blockedBy: null,
    ...fields,
  };
}

function insert(claim: Partial<Claim>): Promise<InsertedRun[]> {
  return dispatcher.begin((transaction) =>
    insertClaimed(transaction, { runs: [], stretches: [], watermarks: [], publishTimeoutMs: 10_000, ...claim }),
  );
}

/** The due row's two instants: when to look, and the occurrence that is meant where that is another one. */
async function dueRows(): Promise<{ dueAt: number; scheduledFor: number | null }[]> {
  const rows = await database.admin<{ dueAt: number; scheduledFor: number | null }[]>`
    select (extract(epoch from next_run_at) * 1000)::float8 as "dueAt", (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor"
    from downbeat.schedule_due where schedule_id = ${schedule.scheduleId}`;
  return [...rows];
}

async function makeDue(): Promise<void> {
  await database.admin`insert into downbeat.schedule_due values (${schedule.tenantId}, ${schedule.scheduleId}, now(), now() - interval '1 hour')`;
}

test("a claimed run is pending, due at its instant, and looked for when its dispatcher should have sent it", async () => {
  const run = claimedRun(now + 60_000, { scheduleRevision: 7 });
  await atOneInstant(dispatcher, async (sql) => {
    expect(await insertClaimed(sql, { runs: [run], stretches: [], watermarks: [], publishTimeoutMs: 10_000 })).toEqual([
      { tenantId: run.tenantId, runId: run.runId, scheduledFor: run.scheduledFor, dueAt: run.dueAt },
    ]);
    const [clock] = await sql<{ at: number }[]>`select (extract(epoch from now()) * 1000)::float8 as at`;
    const row = await readRun(sql, run);
    expect(row).toMatchObject({
      state: "pending",
      attempt: 0,
      redrives: 0,
      revision: 7,
      sweepInMs: 10_000,
      leaseToken: null,
      finishedInMs: null,
    });
    expect(row.dueInMs).toBeCloseTo(run.scheduledFor - (clock?.at ?? 0), 1);
  });
});

test("the same occurrence claimed twice is one row, and only the first claim sends it", async () => {
  const run = claimedRun(now);
  expect(await insert({ runs: [run] })).toHaveLength(1);
  expect(await insert({ runs: [run] })).toEqual([]);
  expect(await database.admin`select id from downbeat.runs where schedule_id = ${schedule.scheduleId}`).toHaveLength(1);
});

test("the same occurrences claimed by several at once are one row each, each sent by one of them", async () => {
  const runs = Array.from({ length: 50 }, (_, index) => claimedRun(now + index));
  const claimed = await Promise.all(Array.from({ length: 4 }, () => insert({ runs })));
  expect(
    claimed
      .flat()
      .map(({ scheduledFor }) => scheduledFor)
      .sort(),
  ).toEqual(runs.map(({ scheduledFor }) => scheduledFor));
});

test("a run that an edit had canceled before it started is revived, under the new revision, when the schedule wants its instant after all", async () => {
  const run = claimedRun(now + 60_000);
  await insert({ runs: [run] });
  await database.admin`
    update downbeat.runs set state = 'canceled', reason = 'schedule_changed', sweep_at = null, finished_at = now() where id = ${run.runId}`;
  expect(await insert({ runs: [{ ...run, scheduleRevision: 3 }] })).toHaveLength(1);
  const revived = await readRun(database.admin, run);
  expect(revived).toMatchObject({ state: "pending", reason: null, revision: 3, attempt: 0, finishedInMs: null });
  expect(revived.sweepInMs).not.toBeNull();
});

test.for([
  ["pending", null, 0],
  ["queued", null, 0],
  ["running", null, 1],
  ["retrying", null, 1],
  ["succeeded", null, 1],
  ["failed", "attempts_exhausted", 9],
  ["skipped", null, 0],
  ["missed", "coalesced", 0],
  ["canceled", null, 0],
  ["canceled", "schedule_changed", 1],
] as const satisfies [RunState, string | null, number][])(
  "a run that is %s (%s, attempt %i) is left alone by a claim of its instant",
  async ([state, reason, attempt]) => {
    const run = claimedRun(now);
    await insert({ runs: [run] });
    await database.admin`update downbeat.runs set state = ${state}, reason = ${reason}, attempt = ${attempt} where id = ${run.runId}`;
    expect(await insert({ runs: [{ ...run, scheduleRevision: 2 }] })).toEqual([]);
    expect(await readRun(database.admin, run)).toMatchObject({ state, reason, attempt, revision: 1 });
  },
);

test("a revived run starts when the new claim says, and is tried again as long as the new claim says", async () => {
  const run = claimedRun(now + 60_000, { spreadMs: null, retryUntil: now + 120_000 });
  await insert({ runs: [run] });
  await database.admin`
    update downbeat.runs set state = 'canceled', reason = 'schedule_changed', sweep_at = null, finished_at = now() where id = ${run.runId}`;
  const again = { ...run, dueAt: run.scheduledFor + 5_000, spreadMs: 5_000, retryUntil: now + 300_000 };
  expect(await insert({ runs: [again] })).toMatchObject([{ dueAt: again.dueAt }]);
  expect(await readTimes(run.runId)).toEqual({ dueAt: again.dueAt, spreadMs: 5_000, retryUntil: again.retryUntil });
});

async function readTimes(id: string) {
  const [row] = await database.admin`
    select (extract(epoch from due_at) * 1000)::float8 as "dueAt", spread_ms as "spreadMs", (extract(epoch from retry_until) * 1000)::float8 as "retryUntil"
    from downbeat.runs where id = ${id}`;
  return row;
}

test("a run of a spread schedule keeps both its times, and the instant after which it is not tried again", async () => {
  const run = claimedRun(now + 20_000, { dueAt: now + 33_333, spreadMs: 13_333, retryUntil: now + 3_600_000 });
  expect(await insert({ runs: [run] })).toEqual([
    { tenantId: run.tenantId, runId: run.runId, scheduledFor: run.scheduledFor, dueAt: now + 33_333 },
  ]);
  expect(await readTimes(run.runId)).toEqual({ dueAt: now + 33_333, spreadMs: 13_333, retryUntil: now + 3_600_000 });
  const plain = claimedRun(now + 60_000);
  await insert({ runs: [plain] });
  expect(await readTimes(plain.runId)).toEqual({ dueAt: now + 60_000, spreadMs: null, retryUntil: null });
});

test.for([
  ["missed", "coalesced"],
  ["missed", "grace"],
  ["skipped", "paused"],
  ["skipped", "overlap"],
] as const)("a stretch that is %s (%s) is one final row, dated at its last occurrence, and is not sent", async ([state, reason]) => {
  const blockedBy = reason === "overlap" ? runId(schedule.scheduleId, now - 1) : null;
  const stretch = claimedStretch(now - 120_000, { state, reason, blockedBy });
  expect(await insert({ stretches: [stretch] })).toEqual([]);
  expect(await readRun(database.admin, stretch)).toMatchObject({ state, reason, attempt: 0, sweepInMs: null });
  const [row] = await database.admin`
    select finished_at is not null as "isOver", range_count as count, (extract(epoch from range_from) * 1000)::float8 as "from",
      (extract(epoch from scheduled_for) * 1000)::float8 as "to", blocked_by as "blockedBy"
    from downbeat.runs where id = ${stretch.runId}`;
  expect(row).toEqual({ isOver: true, count: 9, from: stretch.rangeFrom, to: stretch.scheduledFor, blockedBy });
});

test("a stretch told twice, or over an instant that ran, changes nothing", async () => {
  const stretch = claimedStretch(now - 120_000);
  await insert({ stretches: [stretch] });
  await insert({ stretches: [{ ...stretch, rangeCount: 4 }] });
  const ran = claimedRun(now - 60_000);
  await insert({ runs: [ran] });
  await insert({ stretches: [claimedStretch(ran.scheduledFor, { rangeFrom: now - 110_000, rangeCount: 2 })] });
  expect(await readRun(database.admin, ran)).toMatchObject({ state: "pending" });
  const [row] = await database.admin`select range_count as count from downbeat.runs where id = ${stretch.runId}`;
  expect(row).toEqual({ count: 9 });
});

test("the watermark moves to the first occurrence that was not evaluated", async () => {
  await makeDue();
  const { tenantId, scheduleId } = schedule;
  const next = now + 3_600_001;
  await insert({ runs: [claimedRun(now)], watermarks: [{ tenantId, scheduleId, next: { scheduledFor: next, dueAt: next } }] });
  expect(await dueRows()).toEqual([{ dueAt: next, scheduledFor: null }]);
});

test("where the next occurrence is spread or put off, the watermark keeps it beside the instant at which to look", async () => {
  await makeDue();
  const { tenantId, scheduleId } = schedule;
  const next = { scheduledFor: now + 3_600_000, dueAt: now + 3_677_777 };
  await insert({ watermarks: [{ tenantId, scheduleId, next }] });
  expect(await dueRows()).toEqual([next]);
});

test("the watermarks of a batch each find their own row", async () => {
  const others = [await arrangeSchedule(database.admin), await arrangeSchedule(database.admin)];
  const schedules = [schedule, ...others];
  for (const { tenantId, scheduleId } of schedules) {
    await database.admin`insert into downbeat.schedule_due values (${tenantId}, ${scheduleId}, now())`;
  }
  await insert({
    watermarks: schedules.map(({ tenantId, scheduleId }, index) => ({
      tenantId,
      scheduleId,
      next: index === 1 ? null : { scheduledFor: now + index, dueAt: now + index },
    })),
  });
  const rows = await database.admin<{ id: string; at: number }[]>`
    select schedule_id as id, (extract(epoch from next_run_at) * 1000)::float8 as at from downbeat.schedule_due
    where schedule_id = any(${schedules.map(({ scheduleId }) => scheduleId)}::uuid[])`;
  expect(new Map(rows.map(({ id, at }) => [id, at]))).toEqual(
    new Map([
      [schedule.scheduleId, now],
      [others[1]?.scheduleId, now + 2],
    ]),
  );
});

test("a schedule whose rule has no further occurrence leaves the due index and is completed", async () => {
  await makeDue();
  const { tenantId, scheduleId } = schedule;
  await insert({ runs: [claimedRun(now)], watermarks: [{ tenantId, scheduleId, next: null }] });
  expect(await dueRows()).toEqual([]);
  const [row] = await database.admin`select completed_at is not null as "isCompleted" from downbeat.schedules where id = ${scheduleId}`;
  expect(row).toEqual({ isCompleted: true });
});

test("a schedule that has left the due index meanwhile is neither put back nor completed", async () => {
  const { tenantId, scheduleId } = schedule;
  await insert({ watermarks: [{ tenantId, scheduleId, next: null }] });
  await insert({ watermarks: [{ tenantId, scheduleId, next: { scheduledFor: now, dueAt: now } }] });
  expect(await dueRows()).toEqual([]);
  const [row] = await database.admin`select completed_at from downbeat.schedules where id = ${scheduleId}`;
  expect(row).toEqual({ completed_at: null });
});

test("a claim is written whole or not at all", async () => {
  await makeDue();
  const { tenantId, scheduleId } = schedule;
  const before = await dueRows();
  const noPartition = claimedStretch(Date.UTC(2200, 0, 1), { rangeFrom: now, rangeCount: 2 });
  const claim = {
    runs: [claimedRun(now)],
    stretches: [noPartition],
    watermarks: [{ tenantId, scheduleId, next: { scheduledFor: now + 1, dueAt: now + 1 } }],
  };
  await expect(insert(claim)).rejects.toMatchObject({ code: "23514" });
  expect(await dueRows()).toEqual(before);
  expect(await database.admin`select id from downbeat.runs where schedule_id = ${scheduleId}`).toEqual([]);
});
