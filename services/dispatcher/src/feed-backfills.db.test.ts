import { randomUUID } from "node:crypto";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import { findUnfinishedBackfills, type BackfillKey } from "@downbeat/store/lock-backfill.ts";
import type { RunState } from "@downbeat/store/run-states.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { type ArrangedEndpoint, arrangeEndpoint, arrangeSchedules } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dispatcherConfig } from "./config.ts";
import { feedBackfill } from "./feed-backfills.ts";
import { runPass } from "./pass.ts";

let database: TestDatabase;
let endpoint: ArrangedEndpoint;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** A day long past, whose partition is not there yet. */
const startAt = Date.UTC(2024, 1, 28, 12);
const secondMs = 1_000;
let scheduleId: string;

/** A schedule of its own tenant, each second from `startAt` on. */
beforeEach(async () => {
  await database.admin`truncate downbeat.runs, downbeat.run_events, downbeat.schedule_events`;
  await database.admin`delete from downbeat.backfills`;
  endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  [scheduleId = ""] = await arrangeSchedules(database.admin, endpoint, {
    rule: { kind: "interval", intervalSeconds: 1, anchorAt: startAt - secondMs },
    nextRunAt: 0,
    isDue: false,
  });
});

interface Arranged {
  count?: number;
  concurrency?: number;
}

/** A backfill of the first `count` occurrences, as the API leaves it. */
async function arrangeBackfill({ count = 10, concurrency = 3 }: Arranged = {}): Promise<BackfillKey> {
  const { tenantId } = endpoint;
  const rule = { kind: "interval", intervalSeconds: 1, anchorAt: startAt - secondMs, startsAt: null, endsAt: null, calendarIds: null };
  const toAt = startAt + (count - 1) * secondMs;
  const [row] = await database.admin<{ id: string }[]>`
    insert into downbeat.backfills (tenant_id, schedule_id, from_at, to_at, rule, concurrency, planned, next_at, created_by)
    values (${tenantId}, ${scheduleId}, ${new Date(startAt - 1)}, ${new Date(toAt)}, ${database.admin.json({ rule, calendars: [] })}, ${concurrency}, ${count},
      ${new Date(startAt)}, 'key test')
    returning id`;
  return { tenantId, backfillId: row?.id ?? "" };
}

const feed = (backfill: BackfillKey) =>
  feedBackfill({ sql: database.connectAs("downbeat_dispatcher", 1), backfill, publishTimeoutMs: 10_000 });

/** Second of the occurrence → state, of the backfill's runs, oldest first. */
async function runsOf({ backfillId }: BackfillKey) {
  const rows = await database.admin<{ second: number; state: RunState; reason: string | null; id: string }[]>`
    select (extract(epoch from scheduled_for) - ${startAt / 1_000})::int as second, state, reason, id
    from downbeat.runs where schedule_id = ${scheduleId} and trigger_id = ${`backfill ${backfillId}`} order by id`;
  return [...rows];
}

async function end(state: RunState, where: { state?: RunState; seconds?: number[] } = {}): Promise<void> {
  const at = (where.seconds ?? []).map((second) => new Date(startAt + second * secondMs).toISOString());
  await database.admin`
    update downbeat.runs set state = ${state}, sweep_at = case when ${state} = 'retrying' then now() end
    where schedule_id = ${scheduleId} and state in ('pending', 'queued', 'running', 'retrying') and state = coalesce(${where.state ?? null}, state)
      and (${at.length === 0} or scheduled_for = any(${at}::timestamptz[]))`;
}

async function backfillRow({ backfillId }: BackfillKey) {
  const [row] = await database.admin`
    select state, fed, succeeded, failed, cardinality(open_runs) as open, next_at is null as "isExhausted", finished_at is not null as "isFinished"
    from downbeat.backfills where id = ${backfillId}`;
  return row;
}

const journal = () => database.admin`select actor, event, reason, detail from downbeat.schedule_events where schedule_id = ${scheduleId}`;

/** A run of an occurrence that the backfill did not make. */
async function arrangeOther(second: number, state: RunState, triggerId = ""): Promise<void> {
  const at = startAt + second * secondMs;
  await database.admin`select downbeat.ensure_run_partitions(${new Date(at)}, ${new Date(at)})`;
  await database.admin`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, trigger_id, due_at, state)
    values (${endpoint.tenantId}, ${runId(scheduleId, at, triggerId)}, ${scheduleId}, 1, ${new Date(at)}, ${triggerId}, ${new Date(at)}, ${state})`;
}

describe("feeding", () => {
  test("makes as many runs as may be under way, of the oldest occurrences, due now and to be sent by whoever made them", async () => {
    const backfill = await arrangeBackfill({ concurrency: 3 });
    const { runs, nowAt, isCut } = await feed(backfill);
    expect(runs.map(({ scheduledFor }) => scheduledFor)).toEqual([0, 1, 2].map((second) => startAt + second * secondMs));
    expect([runs.every(({ dueAt }) => dueAt === Math.floor(nowAt)), isCut]).toEqual([true, false]);
    const rows = await database.admin`
      select state, attempt, schedule_revision as revision, retry_until as "retryUntil", (extract(epoch from sweep_at - due_at) * 1000)::int / 100 as "sentWithin"
      from downbeat.runs where id = any(${runs.map(({ runId: id }) => id)}::uuid[])`;
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row).toEqual({ state: "pending", attempt: 0, revision: 1, retryUntil: null, sentWithin: 100 });
  });

  test("makes no further run while as many are under way, whatever their live state", async () => {
    const backfill = await arrangeBackfill({ concurrency: 4 });
    await feed(backfill);
    for (const [second, state] of (["queued", "running", "retrying"] as const).entries()) await end(state, { seconds: [second] });
    expect((await feed(backfill)).runs).toEqual([]);
    expect(await backfillRow(backfill)).toMatchObject({ fed: 4, open: 4, succeeded: 0, failed: 0 });
  });

  test("fills the places of those that have ended, counts how they did, and is completed when the last one has", async () => {
    const backfill = await arrangeBackfill({ count: 5, concurrency: 2 });
    await feed(backfill);
    await end("succeeded", { seconds: [0] });
    await end("failed", { seconds: [1] });
    expect((await feed(backfill)).runs).toHaveLength(2);
    expect(await backfillRow(backfill)).toMatchObject({ state: "running", fed: 4, succeeded: 1, failed: 1, open: 2 });
    await end("succeeded");
    await feed(backfill);
    expect(await backfillRow(backfill)).toMatchObject({ state: "running", fed: 5, open: 1, isExhausted: true, isFinished: false });
    expect(await journal()).toHaveLength(0);
    await end("succeeded");
    await feed(backfill);
    const counts = { fed: 5, succeeded: 4, failed: 1 };
    expect(await backfillRow(backfill)).toEqual({ ...counts, state: "completed", open: 0, isExhausted: true, isFinished: true });
    const detail = { ...counts, backfill: backfill.backfillId, planned: 5 };
    expect(await journal()).toEqual([{ actor: "dispatcher", event: "backfill", reason: "completed", detail }]);
    expect(await findUnfinishedBackfills(database.connectAs("downbeat_dispatcher", 1))).toEqual([]);
    expect((await runsOf(backfill)).map(({ second }) => second)).toEqual([0, 1, 2, 3, 4]);
  });

  test("leaves out occurrences that have succeeded or are under way meanwhile, of the rule or of another backfill; what was missed, failed, canceled or asked for by hand is run", async () => {
    const backfill = await arrangeBackfill({ count: 10, concurrency: 100 });
    await arrangeOther(0, "succeeded");
    await arrangeOther(1, "running");
    await arrangeOther(2, "succeeded", `backfill ${randomUUID()}`);
    await arrangeOther(3, "failed");
    await arrangeOther(4, "missed");
    await arrangeOther(5, "canceled");
    await arrangeOther(6, "succeeded", "by-hand");
    await arrangeOther(9, "succeeded");
    await feed(backfill);
    expect((await runsOf(backfill)).map(({ second }) => second)).toEqual([3, 4, 5, 6, 7, 8]);
    expect(await backfillRow(backfill)).toMatchObject({ fed: 6, isExhausted: true });
  });

  test("a long stretch that has succeeded is passed over in several short transactions, each of which says that there is more", async () => {
    const done = 5_000;
    const backfill = await arrangeBackfill({ count: done + 2, concurrency: 2 });
    await database.admin`select downbeat.ensure_run_partitions(${new Date(startAt)}, ${new Date(startAt + 86_400_000)})`;
    await database.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state)
      select ${endpoint.tenantId}, overlay(downbeat.first_run_id(at)::text placing right(gen_random_uuid()::text, 17) from 20)::uuid, ${scheduleId}, 1, at, at, 'succeeded'
      from generate_series(0, ${done - 1}) as n, lateral (select ${new Date(startAt)}::timestamptz + n * interval '1 second' as at) as occurrence`;
    let looks = 0;
    for (let isCut = true; isCut; looks += 1) ({ isCut } = await feed(backfill));
    expect((await runsOf(backfill)).map(({ second }) => second)).toEqual([done, done + 1]);
    expect(looks).toBeGreaterThan(1);
  });

  test("makes the partitions of its days", async () => {
    const backfill = await arrangeBackfill({ count: 86_400, concurrency: 1 });
    await database.admin`update downbeat.backfills set next_at = ${new Date(startAt + 50_000 * secondMs)}`;
    const { runs } = await feed(backfill);
    const [row] = await database.admin`select tableoid::regclass::text as partition from downbeat.runs where id = ${runs[0]?.runId ?? ""}`;
    expect(row).toEqual({ partition: "downbeat.runs_20240229" });
  });

  test("what was planned is what runs: an edit of the schedule's rule changes nothing of a backfill", async () => {
    const backfill = await arrangeBackfill({ count: 4, concurrency: 100 });
    await database.admin`update downbeat.schedules set interval_seconds = 3, revision = 2 where id = ${scheduleId}`;
    await feed(backfill);
    expect((await runsOf(backfill)).map(({ second }) => second)).toEqual([0, 1, 2, 3]);
  });

  test("waits while its tenant is under maintenance, and goes on after it", async () => {
    const backfill = await arrangeBackfill({ concurrency: 2 });
    await database.admin`update downbeat.tenants set maintenance_from = now() where id = ${endpoint.tenantId}`;
    expect(await feed(backfill)).toMatchObject({ runs: [], isCut: false });
    await database.admin`update downbeat.tenants set maintenance_until = now() where id = ${endpoint.tenantId}`;
    expect((await feed(backfill)).runs).toHaveLength(2);
  });

  test("a run that is no longer in the ledger holds no place", async () => {
    const backfill = await arrangeBackfill({ concurrency: 2 });
    await feed(backfill);
    await database.admin`delete from downbeat.runs`;
    expect((await feed(backfill)).runs).toHaveLength(2);
    expect(await backfillRow(backfill)).toMatchObject({ fed: 4, open: 2, succeeded: 0, failed: 0 });
  });
});

describe("pausing and canceling", () => {
  test("a paused backfill gets no further run; those under way are counted as they end, and then nobody looks at it", async () => {
    const backfill = await arrangeBackfill({ concurrency: 2 });
    await feed(backfill);
    await database.admin`update downbeat.backfills set state = 'paused'`;
    await end("succeeded", { seconds: [0] });
    expect((await feed(backfill)).runs).toEqual([]);
    expect(await backfillRow(backfill)).toMatchObject({ state: "paused", fed: 2, succeeded: 1, open: 1 });
    await end("succeeded");
    await feed(backfill);
    expect(await findUnfinishedBackfills(database.connectAs("downbeat_dispatcher", 1))).toEqual([]);
    await database.admin`update downbeat.backfills set state = 'running'`;
    expect((await feed(backfill)).runs.map(({ scheduledFor }) => scheduledFor)).toEqual(
      [2, 3].map((second) => startAt + second * secondMs),
    );
  });

  test("a canceled backfill withdraws what nobody is calling, and the retry of what fails after that; it is finished when the last call has ended", async () => {
    const backfill = await arrangeBackfill({ concurrency: 4 });
    await feed(backfill);
    for (const [second, state] of (["queued", "retrying", "running"] as const).entries()) await end(state, { seconds: [second] });
    await database.admin`update downbeat.backfills set state = 'canceled'`;
    await feed(backfill);
    const withdrawn = { state: "canceled", reason: "backfill_canceled" };
    expect(await runsOf(backfill)).toMatchObject([withdrawn, withdrawn, { state: "running" }, withdrawn]);
    expect(await backfillRow(backfill)).toMatchObject({ state: "canceled", fed: 4, open: 1, isFinished: false });
    await end("retrying");
    await feed(backfill);
    expect((await runsOf(backfill)).map(({ state }) => state)).toEqual(Array.from({ length: 4 }, () => "canceled"));
    expect(await backfillRow(backfill)).toMatchObject({ state: "canceled", fed: 4, open: 0, isFinished: true });
    const events = await database.admin`select actor, event, reason from downbeat.run_events`;
    expect([...events]).toEqual(Array.from({ length: 4 }, () => ({ actor: "dispatcher", event: "canceled", reason: "backfill_canceled" })));
    expect(await journal()).toMatchObject([{ event: "backfill", reason: "canceled", detail: { fed: 4 } }]);
  });

  test("deleting its schedule cancels it", async () => {
    const backfill = await arrangeBackfill({ concurrency: 2 });
    await feed(backfill);
    await database.admin`update downbeat.schedules set deleted_at = now() where id = ${scheduleId}`;
    await feed(backfill);
    expect(await backfillRow(backfill)).toMatchObject({ state: "canceled", fed: 2, isFinished: true });
    expect((await runsOf(backfill)).map(({ state }) => state)).toEqual(["canceled", "canceled"]);
  });
});

test("dispatchers that feed one backfill at once never have more runs under way than it allows, and make each exactly once", async () => {
  const count = 60;
  const concurrency = 5;
  const backfill = await arrangeBackfill({ count, concurrency });
  const dispatchers = Array.from({ length: 4 }, () => database.connectAs("downbeat_dispatcher", 1));
  const underWay = async () => (await runsOf(backfill)).filter(({ state }) => state === "pending");
  for (let round = 0; (await backfillRow(backfill))?.["state"] === "running"; round += 1) {
    const finishing = (await underWay()).slice(0, 1 + (round % concurrency));
    await Promise.all([
      ...dispatchers.map((sql) => feedBackfill({ sql, backfill, publishTimeoutMs: 10_000 })),
      // Runs end while the dispatchers look.
      end("succeeded", { seconds: finishing.map(({ second }) => second) }).then(() =>
        feedBackfill({ sql: dispatchers[round % 4] ?? database.admin, backfill, publishTimeoutMs: 10_000 }),
      ),
    ]);
    expect((await underWay()).length).toBeLessThanOrEqual(concurrency);
  }
  expect((await runsOf(backfill)).map(({ second }) => second)).toEqual(Array.from({ length: count }, (_, second) => second));
  expect(await backfillRow(backfill)).toMatchObject({ state: "completed", fed: count, succeeded: count, open: 0 });
});

test("a backfill that another dispatcher holds is passed over, not waited for", async () => {
  const backfill = await arrangeBackfill();
  await database.admin.begin(async (transaction) => {
    await transaction`select from downbeat.backfills where id = ${backfill.backfillId} for update`;
    expect(await feed(backfill)).toEqual({ runs: [], nowAt: 0, isCut: false });
  });
});

test("looking for backfills costs one look-up in an index of those that are unfinished", async () => {
  const sql = database.connectAs("downbeat_dispatcher", 1);
  const rows = await sql<{ "QUERY PLAN": string }[]>`explain ${findUnfinishedBackfills(sql)}`;
  expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toContain("backfills_unfinished");
});

test("a pass feeds every backfill, hands its runs to the queue and counts them; one whose rule can no longer be evaluated holds up no other", async () => {
  const broken = await arrangeBackfill();
  const rule = { kind: "cron", cronExpression: "* * * * *", timezone: "Mars/Olympus", startsAt: null, endsAt: null, calendarIds: null };
  await database.admin`update downbeat.backfills set rule = ${database.admin.json({ rule, calendars: [] })}, created_at = now() - interval '1 hour'`;
  const backfill = await arrangeBackfill({ concurrency: 3 });
  const sqs = await startQueueServer();
  const queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("backfills"), 60);
  const config = readConfig(dispatcherConfig, { DATABASE_URL: database.url, SQS_QUEUE_URL: queueUrl });
  const { log, lines } = captureLog();
  const { signal } = new AbortController();
  const sql = database.connectAs("downbeat_dispatcher", 2);
  const counts = await runPass({ sql, queue, clock: new ManualClock(Date.now()), log, config, dispatcher: "dispatcher-1", signal });
  queue.destroy();
  await sqs.stop();
  expect(counts).toEqual({ claimed: 3, missed: 0, sent: 3, sendFailed: 0, swept: 0 });
  expect((await runsOf(backfill)).map(({ state }) => state)).toEqual(["queued", "queued", "queued"]);
  const complaint = lines.find(({ level }) => level === "error");
  expect(complaint).toMatchObject({ backfill: broken.backfillId, tenant: endpoint.tenantId, msg: expect.stringContaining("timezone") });
});
