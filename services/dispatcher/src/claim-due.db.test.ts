import { arrangeGate, arrangeLeased, readGate } from "@downbeat/store/runs.test-support.ts";
import { type ArrangedEndpoint, type ArrangedPolicy, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
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
  database.admin`
    select schedule_id as id, (extract(epoch from next_run_at) * 1000)::float8 as at, (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor"
    from downbeat.schedule_due`;

/** `state(reason) count` of what is in the ledger, oldest first. */
async function ledger(): Promise<string[]> {
  const rows = await database.admin<{ line: string }[]>`
    select state || coalesce('(' || reason || ')', '') || coalesce(' ' || range_count, '') as line from downbeat.runs order by scheduled_for, id`;
  return rows.map(({ line }) => line);
}

/** A schedule due now and every hour, with its last ten hours still to be evaluated. */
async function arrangeLate(policy: ArrangedPolicy = {}): Promise<string> {
  const [id = ""] = await arrangeSchedules(database.admin, endpoint, {
    rule: { ...hourly, anchorAt: now - 11 * 3_600_000 },
    policy,
    nextRunAt: now - 10 * 3_600_000,
  });
  return id;
}

const eventsOf = async (id: string) => {
  const rows = await database.admin<{ line: string }[]>`
    select concat_ws(' ', actor, event, reason) as line from downbeat.schedule_events where schedule_id = ${id} order by id`;
  return rows.map(({ line }) => line);
};

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

test("a late occurrence whose schedule has a run under way is skipped in the claim, naming that run; a gate whose run has ended stops nothing", async () => {
  const scheduleId = await arrangeLate();
  const holder = await arrangeLeased(database.admin, { ...endpoint, scheduleId }, { scheduledInMs: -20 * 3_600_000 });
  await arrangeGate(database.admin, { ...endpoint, scheduleId }, { holders: [holder] });
  expect(await claim()).toMatchObject({ runs: [], missed: 11 });
  expect(await ledger()).toEqual(["running", "missed(coalesced) 10", "skipped(overlap) 1"]);
  const [skipped] = await database.admin`select blocked_by as by from downbeat.runs where state = 'skipped'`;
  expect(skipped).toEqual({ by: holder.runId });
  // Written by executors only.
  expect(await readGate(database.admin, { scheduleId })).toEqual({ holders: [holder.runId], waiting: [], started: 0 });

  await database.admin`truncate downbeat.runs, downbeat.schedule_due`;
  const other = await arrangeLate();
  const ended = await arrangeLeased(
    database.admin,
    { ...endpoint, scheduleId: other },
    { state: "succeeded", scheduledInMs: -20 * 3_600_000 },
  );
  await arrangeGate(database.admin, { ...endpoint, scheduleId: other }, { holders: [ended] });
  expect(await claim()).toMatchObject({ runs: [{ scheduledFor: now }], missed: 10 });
});

test("a pause that is over ends in the claim that settles what fell into it, with an entry in the journal and without a new revision", async () => {
  const id = await arrangeLate({ on_resume: "latest" });
  await database.admin`
    update downbeat.schedules set paused_at = now() - interval '9 hours', paused_until = to_timestamp(${now + 1}::float8 / 1000), pause_reason = 'vacation' where id = ${id}`;
  expect(await claim()).toMatchObject({ runs: [{ scheduledFor: now }], missed: 10 });
  expect(await ledger()).toEqual(["skipped(paused) 10", "pending"]);
  const [rule] = await database.admin`select paused_at, paused_until, pause_reason, revision from downbeat.schedules where id = ${id}`;
  expect(rule).toEqual({ paused_at: null, paused_until: null, pause_reason: null, revision: 1 });
  expect(await eventsOf(id)).toEqual(["dispatcher resumed the pause was over"]);
});

test("a schedule that has started all its runs is completed, with the reason, and its instants since then are no occurrences", async () => {
  const id = await arrangeLate({ max_runs: 5 });
  await arrangeGate(database.admin, { ...endpoint, scheduleId: id }, { started: 5 });
  expect(await claim()).toMatchObject({ runs: [], missed: 0 });
  expect(await ledger()).toEqual([]);
  expect(await dueRows()).toEqual([]);
  const [rule] =
    await database.admin`select completed_at is not null as "isCompleted", completed_reason as reason from downbeat.schedules where id = ${id}`;
  expect(rule).toEqual({ isCompleted: true, reason: "max_runs" });
  expect(await eventsOf(id)).toEqual(["dispatcher completed max_runs"]);
});

test("a schedule with a limit is claimed as far as the limit leaves, and once more when a claimed run was skipped", async () => {
  const id = await arrangeLate({ max_runs: 2, misfire: "all", overlap: "queue_all", grace_seconds: null });
  expect((await claim()).runs.map(({ scheduledFor }) => (now - scheduledFor) / 3_600_000)).toEqual([10, 9]);
  expect(await dueRows()).toMatchObject([{ scheduledFor: now - 8 * 3_600_000 }]);
  const again = async () => {
    await database.admin`update downbeat.schedule_due set next_run_at = now() where schedule_id = ${id}`;
    return (await claim()).runs.map(({ scheduledFor }) => (now - scheduledFor) / 3_600_000);
  };
  expect(await again()).toEqual([]);
  await database.admin`update downbeat.runs set state = 'skipped' where scheduled_for = (select min(scheduled_for) from downbeat.runs)`;
  expect(await again()).toEqual([8]);
  expect(await again()).toEqual([]);
});

test("a schedule of a tenant under maintenance is put off, and settled when the maintenance is over", async () => {
  const id = await arrangeLate();
  await database.admin`update downbeat.tenants set maintenance_from = now() - interval '3.5 hours' where id = ${endpoint.tenantId}`;
  expect(await claim()).toMatchObject({ runs: [{ scheduledFor: now - 4 * 3_600_000 }], missed: 6 });
  const [putOff] = await dueRows();
  expect(putOff).toMatchObject({ id, scheduledFor: now - 3 * 3_600_000 });
  expect(putOff?.["at"]).toBeGreaterThan(now + 75_000);
  expect(await claim()).toMatchObject({ runs: [], missed: 0, hasMore: false });
  await database.admin`update downbeat.tenants set maintenance_until = now() - interval '0.5 hours' where id = ${endpoint.tenantId}`;
  await database.admin`update downbeat.schedule_due set next_run_at = now() where schedule_id = ${id}`;
  expect(await claim()).toMatchObject({ runs: [{ scheduledFor: now }], missed: 3 });
  expect(await ledger()).toEqual(["missed(coalesced) 6", "pending", "skipped(maintenance) 3", "pending"]);
  await database.admin`update downbeat.tenants set maintenance_from = null, maintenance_until = null where id = ${endpoint.tenantId}`;
});

test("a spread schedule is claimed when it starts, under its occurrence's id, and due again when its next occurrence starts", async () => {
  await arrangeSchedules(database.admin, endpoint, {
    rule: { ...hourly, anchorAt: now - 3_600_000 },
    policy: { spread_share: 1 },
    nextRunAt: now,
  });
  const early = await claim({ horizonMs: 1 });
  expect(early.runs).toEqual([]);
  const [row] = await dueRows();
  const startsAt = row?.["at"] as number;
  expect(row).toMatchObject({ scheduledFor: now });
  expect(startsAt).toBeGreaterThan(now);
  expect(await claim({ horizonMs: 3_600_000 })).toMatchObject({ runs: [{ scheduledFor: now, dueAt: startsAt }] });
  expect(await dueRows()).toMatchObject([{ at: startsAt + 3_600_000, scheduledFor: now + 3_600_000 }]);
  const [run] =
    await database.admin`select spread_ms as "spreadMs", (extract(epoch from retry_until) * 1000)::float8 as "retryUntil" from downbeat.runs`;
  expect(run).toEqual({ spreadMs: startsAt - now, retryUntil: startsAt + 3_600_000 });
});

test("dispatchers that claim at once for a tenant with a daily limit do not claim more than it leaves; the rest is skipped, none lost", async () => {
  await database.admin`update downbeat.tenants set runs_per_day_max = 50 where id = ${endpoint.tenantId}`;
  await arrangeSchedules(database.admin, endpoint, { rule: { ...hourly, anchorAt: now - 3_600_000 }, nextRunAt: now, count: 200 });
  const batches = await Promise.all(Array.from({ length: 4 }, () => claim({ batchSize: 60 })));
  batches.push(await claim({ batchSize: 200 }));
  expect(batches.reduce((sum, { runs }) => sum + runs.length, 0)).toBe(50);
  expect(batches.reduce((sum, { missed }) => sum + missed, 0)).toBe(150);
  const states = await database.admin`select state, reason, count(*)::int as runs from downbeat.runs group by state, reason order by state`;
  expect(states).toEqual([
    { state: "pending", reason: null, runs: 50 },
    { state: "skipped", reason: "budget", runs: 150 },
  ]);
  expect(await database.admin`select runs from downbeat.tenant_usage`).toEqual([{ runs: 50 }]);
  await database.admin`update downbeat.tenants set runs_per_day_max = null where id = ${endpoint.tenantId}`;
});

test("a schedule that names a calendar is claimed by it; one whose calendar is gone is told and left, and the others are claimed", async () => {
  const [calendar] = await database.admin<{ id: string }[]>`
    insert into downbeat.calendars (tenant_id, name, kind, entries)
    values (${endpoint.tenantId}, 'closed', 'blackout', ${database.admin.json([
      `${new Date(now - 9.5 * 3_600_000).toISOString()}/${new Date(now - 0.5 * 3_600_000).toISOString()}`,
    ])})
    returning id`;
  await arrangeLate({ calendar_ids: [calendar?.id ?? ""] });
  const lost = await arrangeLate({ calendar_ids: ["00000000-0000-4000-8000-000000000000"] });
  const { log, lines } = captureLog();
  expect(await claim({ log })).toMatchObject({ runs: [{ scheduledFor: now }], missed: 1, hasMore: false });
  expect(await ledger()).toEqual(["missed(coalesced) 1", "pending"]);
  expect(lines).toMatchObject([{ level: "error", schedule: lost, msg: expect.stringContaining("there is no calendar") }]);
  expect((await dueRows()).map((row) => row["id"])).toContain(lost);
});
