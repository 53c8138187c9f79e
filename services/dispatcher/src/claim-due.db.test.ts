import { type ArrangedEndpoint, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { claimDue, type ClaimDueOptions } from "./claim-due.ts";

let database: TestDatabase;
let endpoint: ArrangedEndpoint;
let now: number;
beforeAll(async () => {
  database = await createTestDatabase();
  endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin`truncate downbeat.runs, downbeat.schedule_due`;
  now = Math.floor(await databaseNow(database.admin));
});

function claim(options: Partial<ClaimDueOptions> = {}) {
  const { log } = captureLog();
  return claimDue({
    sql: database.connectAs("downbeat_dispatcher", 1),
    log,
    horizonMs: 75_000,
    batchSize: 100,
    publishTimeoutMs: 10_000,
    ...options,
  });
}

const hourly = { kind: "interval", intervalSeconds: 3_600 } as const;
const dueRows = () =>
  database.admin`select schedule_id as id, (extract(epoch from next_run_at) * 1000)::float8 as at from downbeat.schedule_due`;

test("a claimed occurrence is a pending run, and its schedule's watermark stands at the next one", async () => {
  const [id] = await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now - 3_600_000 }, nextRunAt: now });
  const batch = await claim();
  expect(batch).toMatchObject({ runs: [{ tenantId: endpoint.tenantId, scheduledFor: now }], missed: 0, hasMore: false });
  expect(await dueRows()).toMatchObject([{ id, at: now + 3_600_000 }]);
  expect(await database.admin`select state from downbeat.runs`).toMatchObject([{ state: "pending" }]);
});

test("nothing due is nothing claimed", async () => {
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now }, nextRunAt: now + 3_600_000 });
  expect(await claim()).toMatchObject({ runs: [], missed: 0, hasMore: false });
});

test("dispatchers that claim at once share what is due, each occurrence claimed by one of them", async () => {
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now - 3_600_000 }, nextRunAt: now, count: 200 });
  const batches = await Promise.all(Array.from({ length: 4 }, () => claim({ batchSize: 80 })));
  const rest = await claim({ batchSize: 1_000 });
  const ids = [...batches, rest].flatMap(({ runs }) => runs.map(({ runId }) => runId));
  expect(new Set(ids).size).toBe(200);
  expect(ids).toHaveLength(200);
});

test("a schedule that cannot be evaluated is paused with the reason, so that it never clogs a claim; the others of its batch are claimed", async () => {
  const [broken] = await arrangeSchedules(database.admin, endpoint, {
    rule: { kind: "cron", cronExpression: "61 * * * *" },
    nextRunAt: now,
  });
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now - 3_600_000 }, nextRunAt: now });
  const { log, lines } = captureLog();
  const batch = await claim({ log });
  expect(batch.hasMore).toBe(false);
  // The occurrence that was known to be due still runs.
  expect(batch.runs.map(({ scheduledFor }) => scheduledFor)).toEqual([now, now]);
  expect((await dueRows()).map((row) => row["id"])).not.toContain(broken);
  const [paused] = await database.admin`select paused_at, pause_reason, revision from downbeat.schedules where id = ${broken ?? ""}`;
  expect(paused).toMatchObject({
    paused_at: expect.any(Date),
    pause_reason: expect.stringMatching(/^The rule cannot be evaluated: .+/),
    revision: 2,
  });
  expect(lines).toMatchObject([{ level: "error", schedule: broken, tenant: endpoint.tenantId }]);
});

test("what a downtime of months missed is dated in its own days, whose partitions the claim makes", async () => {
  const from = now - 100 * 86_400_000;
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: from - 3_600_000 }, nextRunAt: from });
  const batch = await claim();
  expect(batch).toMatchObject({ runs: [{ scheduledFor: now }], missed: 2_400 });
  const rows = await database.admin`select state, range_count as count from downbeat.runs order by scheduled_for`;
  // Of all but the last day nothing was to run any more.
  expect(rows).toMatchObject([{ state: "missed", count: 2_377 }, { state: "missed", count: 23 }, { state: "pending" }]);
});

test("what one claim does not evaluate the next ones do, and the sum is the same", async () => {
  const from = now - 600_000;
  await arrangeSchedules(database.admin, endpoint, {
    rule: { kind: "interval", intervalSeconds: 1, anchorAt: from - 1_000 },
    policy: { overlap: "allow", max_instances: 1_000 },
    nextRunAt: from,
  });
  let missed = 0;
  const runs: number[] = [];
  const perClaim: number[] = [];
  for (let claims = 0; claims < 3; claims += 1) {
    const batch = await claim({ horizonMs: 12_000_000 });
    missed += batch.missed;
    runs.push(...batch.runs.map(({ scheduledFor }) => scheduledFor));
    perClaim.push(batch.runs.length);
  }
  expect(perClaim[0]).toBe(10_000);
  const [first = 0] = runs;
  expect(first - from).toBe(missed * 1_000);
  // Without a gap from the first run to the last.
  expect(runs.map((at) => at - first)).toEqual(runs.map((_, index) => index * 1_000));
  expect(await dueRows()).toMatchObject([{ at: from + (missed + runs.length) * 1_000 }]);
});

test("a claim that fails leaves every watermark where it was, and no run", async () => {
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now - 3_600_000 }, nextRunAt: now });
  // A revision that does not fit the run's column makes the insert fail, after the locks and the plan.
  await database.admin`alter table downbeat.runs add constraint no_runs check (state <> 'pending')`;
  await expect(claim()).rejects.toMatchObject({ code: "23514" });
  await database.admin`alter table downbeat.runs drop constraint no_runs`;
  expect(await dueRows()).toMatchObject([{ at: now }]);
  expect(await database.admin`select from downbeat.runs`).toHaveLength(0);
});
