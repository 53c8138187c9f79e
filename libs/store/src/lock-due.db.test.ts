import { randomUUID } from "node:crypto";
import { type ArrangedEndpoint, type ArrangedPolicy, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql, TransactionSql } from "./connect.ts";
import { lockDue, lockDueRows } from "./lock-due.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

let database: TestDatabase;
let dispatcher: Sql;
let now: number;
let a: ArrangedEndpoint;
let b: ArrangedEndpoint;

beforeAll(async () => {
  database = await createTestDatabase();
  dispatcher = database.connectAs("downbeat_dispatcher");
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin`truncate downbeat.schedule_due`;
  now = Math.floor(await databaseNow(database.admin));
  a = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  b = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
});

/** Schedules of the endpoint's tenant; answers their ids. */
function arrange(endpoint: ArrangedEndpoint, nextRunAt: number, count = 1, isDue = true): Promise<string[]> {
  const rule = { kind: "interval", intervalSeconds: 3_600, anchorAt: nextRunAt } as const;
  return arrangeSchedules(database.admin, endpoint, { rule, nextRunAt, count, isDue });
}

/** The ids that a claim of its own would lock. */
async function lockedIds(options: { schedulesMax?: number; horizonMs?: number; tenantId?: string } = {}): Promise<string[]> {
  return dispatcher.begin((sql) => idsOf(sql, options));
}

async function idsOf(
  sql: TransactionSql,
  options: { schedulesMax?: number; horizonMs?: number; tenantId?: string } = {},
): Promise<string[]> {
  const due = await lockDue(sql, { horizonMs: minuteMs, schedulesMax: 1_000, ...options });
  return due.map(({ scheduleId }) => scheduleId);
}

interface PlanNode {
  "Relation Name"?: string;
  "Index Name"?: string;
  "Actual Rows": number;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  Plans?: PlanNode[];
}

/** What the lock of a batch really read: the indexes used, entries of the due index, and pages in all. */
async function explainLock(schedulesMax: number): Promise<{ indexes: string[]; entries: number; pages: number }> {
  const [row] = await dispatcher.begin(
    (sql) => sql<{ "QUERY PLAN": [{ Plan: PlanNode }] }[]>`
      explain (analyze, buffers, format json) ${lockDueRows(sql, { horizonMs: minuteMs, schedulesMax })}`,
  );
  const plan = row?.["QUERY PLAN"][0].Plan;
  if (plan === undefined) throw new Error("the server did not explain");
  const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
  const scans = flatten(plan).filter((node) => node["Index Name"] !== undefined);
  return {
    indexes: scans.map((node) => node["Index Name"] ?? ""),
    entries: scans.reduce((sum, node) => sum + node["Actual Rows"], 0),
    pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
  };
}

test("a claim reads the due rows only, however many schedules are idle, and whatever the statistics say", async () => {
  const due = 50;
  await arrange(a, now, due);
  await arrange(a, now + 30 * dayMs, 1_000);
  const fewIdle = await explainLock(1_000);
  await arrange(a, now + 30 * dayMs, 49_000);
  const manyIdle = await explainLock(1_000);
  await database.admin`vacuum analyze downbeat.schedule_due`;
  const manyIdleAnalyzed = await explainLock(1_000);
  for (const { indexes, entries, pages } of [fewIdle, manyIdle, manyIdleAnalyzed]) {
    expect(indexes).toEqual(["schedule_due_next_run_at"]);
    expect(entries).toBe(due);
    // Each due row is visited in the table, found again and locked; the rest is the way down the index.
    expect(pages).toBeLessThan(4 * due + 20);
  }
});

test("a batch reads a bounded number of due rows, however many are due", async () => {
  await arrange(a, now, 5_000);
  await database.admin`vacuum analyze downbeat.schedule_due`;
  expect(await explainLock(100)).toMatchObject({ indexes: ["schedule_due_next_run_at"], entries: 800 });
});

test("claims that run at once lock different schedules, and together all that is due", async () => {
  const due = await arrange(a, now, 100);
  const [first, second] = await dispatcher.begin(async (one) => {
    const taken = await idsOf(one, { schedulesMax: 60 });
    return [taken, await lockedIds({ schedulesMax: 60 })] as const;
  });
  expect([first.length, second.length]).toEqual([60, 40]);
  expect(new Set([...first, ...second])).toEqual(new Set(due));
});

test("a schedule that is being edited is passed over, and claimed with the edited rule afterwards", async () => {
  const [edited = "", other = ""] = [...(await arrange(a, now)), ...(await arrange(a, now))];
  await database.admin.begin(async (edit) => {
    await edit`select from downbeat.schedule_due where schedule_id = ${edited} for update`;
    expect(await lockedIds()).toEqual([other]);
    await edit`update downbeat.schedules set revision = 7, interval_seconds = 60 where id = ${edited}`;
  });
  const due = await dispatcher.begin((sql) => lockDue(sql, { horizonMs: minuteMs, schedulesMax: 10 }));
  expect(due.find(({ scheduleId }) => scheduleId === edited)).toMatchObject({ revision: 7, intervalSeconds: 60, nextRunAt: now });
});

test("a tenant with thousands due does not keep a small tenant's few out of the batch", async () => {
  await arrange(a, now, 5_000);
  const few = await arrange(b, now + 2_000, 3);
  const batch = await lockedIds({ schedulesMax: 1_000 });
  expect(batch).toHaveLength(1_000);
  expect(batch).toEqual(expect.arrayContaining(few));
});

test("tenants take turns: a batch smaller than what is due holds each tenant's earliest", async () => {
  const ofA = [await arrange(a, now), await arrange(a, now + 1), await arrange(a, now + 2)].flat();
  const ofB = [await arrange(b, now + 10), await arrange(b, now + 11)].flat();
  expect(new Set(await lockedIds({ schedulesMax: 4 }))).toEqual(new Set([...ofA.slice(0, 2), ...ofB]));
});

test("what has no row in the due index (paused, completed, deleted) and what is due after the horizon is never claimed", async () => {
  await arrange(a, now, 5, false);
  await arrange(a, now + 2 * minuteMs);
  const due = await arrange(a, now + minuteMs / 2);
  expect(await lockedIds()).toEqual(due);
  expect(await lockedIds({ horizonMs: 0 })).toEqual([]);
});

test("a claim for one tenant holds that tenant's schedules only", async () => {
  await arrange(a, now, 20);
  const ofB = await arrange(b, now + 1_000, 2);
  expect(new Set(await lockedIds({ tenantId: b.tenantId }))).toEqual(new Set(ofB));
  expect(await lockedIds({ tenantId: randomUUID() })).toEqual([]);
});

test("a schedule that is spread, paused until then, or put off is due when it is to be looked at, and answers the occurrence that is meant", async () => {
  const [putOff = "", plain = ""] = [...(await arrange(a, now)), ...(await arrange(a, now))];
  await database.admin`
    update downbeat.schedule_due set scheduled_for = to_timestamp(${now - 3_600_000}::float8 / 1000) where schedule_id = ${putOff}`;
  const due = await dispatcher.begin((sql) => lockDue(sql, { horizonMs: minuteMs, schedulesMax: 10 }));
  expect(new Map(due.map(({ scheduleId, nextRunAt }) => [scheduleId, nextRunAt]))).toEqual(
    new Map([
      [putOff, now - 3_600_000],
      [plain, now],
    ]),
  );
  await database.admin`update downbeat.schedule_due set next_run_at = now() + interval '1 hour' where schedule_id = ${putOff}`;
  expect(await lockedIds()).toEqual([plain]);
});

test("a schedule comes with its policies and its tenant's limits and maintenance, as the defaults are and as they were set", async () => {
  const rule = { kind: "cron", cronExpression: "0 9 * * *", timezone: "Europe/Berlin" } as const;
  await arrangeSchedules(database.admin, a, { rule, nextRunAt: now });
  const calendarId = randomUUID();
  const policy: ArrangedPolicy = {
    misfire: "all",
    grace_seconds: null,
    overlap: "allow",
    max_instances: 7,
    on_resume: "latest",
    spread_share: 0.25,
    max_runs: 12,
    calendar_ids: [calendarId],
  };
  await arrangeSchedules(database.admin, b, { rule, policy, nextRunAt: now });
  await database.admin`
    update downbeat.tenants set runs_per_day_max = 500, maintenance_from = to_timestamp(${now}::float8 / 1000), maintenance_until = to_timestamp(${now + 5}::float8 / 1000)
    where id = ${b.tenantId}`;
  await database.admin`
    update downbeat.schedules set dst_gap = 'skip', dst_overlap = 'both', paused_at = to_timestamp(${now - 9}::float8 / 1000), paused_until = to_timestamp(${now}::float8 / 1000)
    where tenant_id = ${b.tenantId}`;
  const due = await dispatcher.begin((sql) => lockDue(sql, { horizonMs: minuteMs, schedulesMax: 10 }));
  expect(due.find(({ tenantId }) => tenantId === a.tenantId)).toMatchObject({
    dstGap: "run_at_gap_end",
    dstOverlap: "first",
    misfire: "latest",
    graceSeconds: 86_400,
    overlap: "skip",
    maxInstances: 3,
    onResume: "skip",
    spreadSeconds: null,
    spreadShare: null,
    maxRuns: null,
    calendarIds: null,
    pausedAt: null,
    pausedUntil: null,
    maintenanceFrom: null,
    maintenanceUntil: null,
    runsPerDayMax: null,
  });
  expect(due.find(({ tenantId }) => tenantId === b.tenantId)).toMatchObject({
    dstGap: "skip",
    dstOverlap: "both",
    misfire: "all",
    graceSeconds: null,
    overlap: "allow",
    maxInstances: 7,
    onResume: "latest",
    spreadSeconds: null,
    spreadShare: 0.25,
    maxRuns: 12,
    calendarIds: [calendarId],
    pausedAt: now - 9,
    pausedUntil: now,
    maintenanceFrom: now,
    maintenanceUntil: now + 5,
    runsPerDayMax: 500,
  });
});
