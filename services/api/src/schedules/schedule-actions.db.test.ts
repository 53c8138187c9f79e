import { randomUUID } from "node:crypto";
import { type ClaimedRun, insertClaimed } from "@downbeat/store/insert-claimed.ts";
import { leaseRuns } from "@downbeat/store/lease-runs.ts";
import { lockDue } from "@downbeat/store/lock-due.ts";
import { runId } from "@downbeat/store/run-id.ts";
import type { Sql, TransactionSql } from "@downbeat/store/connect.ts";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { lockSchedule } from "./lock-schedule.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let dispatcher: Sql;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  dispatcher = api.database.connectAs("downbeat_dispatcher");
});
afterAll(() => api.close());

let schedule: { id: string; anchor_at: string };
/** Fires each second, so that slots fall due while a test looks on. */
beforeEach(async () => {
  const body = { name: `each-second-${randomUUID().slice(0, 13)}`, interval_seconds: 1, endpoint: "shop" };
  schedule = (await api.call("POST", "/api/v1/schedules", { key: acme.key, body })).body;
});

const act = (action: string, options: { body?: unknown; headers?: Record<string, string> } = {}) =>
  api.call("POST", `/api/v1/schedules/${schedule.id}/${action}`, { key: acme.key, ...options });
const runsOf = (scheduleId: string) =>
  api.admin<{ id: string; state: string; reason: string | null; scheduledFor: Date; sweepAt: Date | null; rangeCount: number | null }[]>`
    select id, state, reason, scheduled_for as "scheduledFor", sweep_at as "sweepAt", range_count as "rangeCount"
    from downbeat.runs where schedule_id = ${scheduleId} order by scheduled_for, id`;
const dueOf = (scheduleId: string) => api.admin`select next_run_at from downbeat.schedule_due where schedule_id = ${scheduleId}`;

function toClaimedRun(occurrence: { tenantId: string; scheduleId: string; scheduleRevision: number; scheduledFor: number }): ClaimedRun {
  const { scheduleId, scheduledFor } = occurrence;
  return { ...occurrence, runId: runId(scheduleId, scheduledFor), dueAt: scheduledFor, spreadMs: null, retryUntil: null };
}

/** What a dispatcher's claim does, with the occurrences of this schedule up to `horizonMs` ahead. */
async function claim(transaction: TransactionSql, horizonMs: number): Promise<number[]> {
  const due = await lockDue(transaction, { horizonMs, schedulesMax: 100 });
  const rule = due.find((row) => row.scheduleId === schedule.id);
  if (rule === undefined) return [];
  const occurrences: number[] = [];
  for (let at = rule.nextRunAt; at < rule.nowAt + horizonMs; at += 1_000) occurrences.push(at);
  const { tenantId, scheduleId, revision: scheduleRevision, nextRunAt } = rule;
  const runs = occurrences.map((at) => toClaimedRun({ tenantId, scheduleId, scheduleRevision, scheduledFor: at }));
  const nextAt = (occurrences.at(-1) ?? nextRunAt - 1_000) + 1_000;
  const watermarks = [{ tenantId, scheduleId, next: { scheduledFor: nextAt, dueAt: nextAt } }];
  await insertClaimed(transaction, { runs, stretches: [], watermarks, publishTimeoutMs: 10_000 });
  return occurrences;
}

/** Waits until somebody waits for a lock: the request has reached the row that the test holds. */
async function somebodyWaits(): Promise<void> {
  for (;;) {
    const [row] =
      await api.admin`select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    if (row?.["waiting"] > 0) return;
  }
}

async function databaseClockPasses(at: number): Promise<void> {
  for (;;) {
    const [row] = await api.admin`select extract(epoch from clock_timestamp()) * 1000 > ${at}::float8 as is_past`;
    if (row?.["is_past"]) return;
  }
}

describe("pausing", () => {
  it("takes the schedule out of the due index and cancels its future runs, each with an entry in the journal", async () => {
    const claimed = await dispatcher.begin((transaction) => claim(transaction, 5_000));
    const { status, body } = await act("pause", { body: { reason: "stocktaking" } });
    expect([status, body.state, body.pause_reason, body.next_run_at, body.revision]).toEqual([200, "paused", "stocktaking", null, 2]);
    expect(await dueOf(schedule.id)).toHaveLength(0);
    const pausedAt = Date.parse(body.paused_at);
    const runs = await runsOf(schedule.id);
    expect(runs).toHaveLength(claimed.length);
    for (const run of runs) {
      const isFuture = run.scheduledFor.getTime() > pausedAt;
      expect(run).toMatchObject(
        isFuture ? { state: "canceled", reason: "schedule_changed", sweepAt: null } : { state: "pending", reason: null },
      );
    }
    const events =
      await api.admin`select actor, event, reason from downbeat.run_events where run_id = any(${runs.map((run) => run.id)}::uuid[])`;
    expect(events).toHaveLength(runs.filter((run) => run.state === "canceled").length);
    expect(events[0]).toEqual({ actor: "api", event: "canceled", reason: "schedule_changed" });
  });

  it("waits for a claim in flight and judges its runs by the instant after the wait: what fell due meanwhile runs, what is later is canceled", async () => {
    let claimed: number[] = [];
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const claiming = dispatcher.begin(async (transaction) => {
      claimed = await claim(transaction, 4_000);
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const pausing = act("pause");
    await somebodyWaits();
    const [first = 0] = claimed;
    // The first slot falls due while the pause waits. Its transaction's own now() lies before that.
    await databaseClockPasses(first);
    release.resolve();
    await claiming;
    const { body } = await pausing;
    expect(Date.parse(body.paused_at)).toBeGreaterThanOrEqual(first);
    const runs = await runsOf(schedule.id);
    expect(runs.map((run) => run.scheduledFor.getTime())).toEqual(claimed);
    expect(runs[0]?.state).toBe("pending");
    expect(runs.at(-1)).toMatchObject({ state: "canceled", reason: "schedule_changed" });
    const [stored] = await api.admin`select revised_at = paused_at as same from downbeat.schedules where id = ${schedule.id}`;
    expect(stored).toEqual({ same: true });
    // The executor agrees: the due slot of the older revision is leased, the canceled one is gone.
    const keys = [runs[0], runs.at(-1)].map((run) => ({ tenantId: acme.id, runId: run?.id ?? "" }));
    const { answers } = await leaseRuns(api.database.connectAs("downbeat_executor"), {
      keys,
      executor: "test",
      leaseMs: 1_000,
      holdMsMax: 60_000,
    });
    expect(answers.map(({ verdict }) => verdict).sort()).toEqual(["gone", "leased"]);
  });

  it("an edit in flight is passed over by a claim, which then finds the schedule as the edit left it", async () => {
    const key = { tenantId: acme.id, scheduleId: schedule.id };
    await tenantTransaction(api.database.connectAs("downbeat_api"), { kind: "tenant", tenantId: acme.id }, async (database) => {
      await lockSchedule(database, key);
      expect(await dispatcher.begin((transaction) => claim(transaction, 60_000))).toEqual([]);
    });
    await act("pause");
    expect(await dispatcher.begin((transaction) => claim(transaction, 60_000))).toEqual([]);
  });

  it("during an outage of the dispatchers loses no slot that was due: the newest runs, the older ones are one missed stretch", async () => {
    await api.admin`
      update downbeat.schedules set anchor_at = anchor_at - interval '1 hour', interval_seconds = 60 where id = ${schedule.id}`;
    const [due] = await api.admin`
      update downbeat.schedule_due due set next_run_at = rule.anchor_at + interval '10 minutes'
      from downbeat.schedules rule where rule.id = due.schedule_id and rule.id = ${schedule.id} returning due.next_run_at`;
    const { body } = await act("pause");
    const runs = await runsOf(schedule.id);
    const slots = Math.floor((Date.parse(body.paused_at) - due?.["next_run_at"].getTime()) / 60_000) + 1;
    expect(runs.map((run) => run.state)).toEqual(["missed", "pending"]);
    expect(runs.reduce((sum, run) => sum + (run.rangeCount ?? 1), 0)).toBe(slots);
    expect(runs[1]?.sweepAt).not.toBeNull();
  });

  it("leaves a retry alone: its slot was due", async () => {
    const { body: run } = await act("run");
    const at = new Date(Date.now() - 5_000);
    const retried = runId(schedule.id, at.getTime());
    await api.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, attempt, sweep_at)
      values (${acme.id}, ${retried}, ${schedule.id}, 1, ${at}, now() + interval '1 minute', 'queued', 1, now())`;
    await act("pause");
    const states = new Map((await runsOf(schedule.id)).map(({ id, state }) => [id, state]));
    expect([states.get(retried), states.get(run.id)]).toEqual(["queued", "pending"]);
  });

  it("twice changes nothing, and neither does resuming an active schedule", async () => {
    const first = await act("pause", { body: { reason: "first" } });
    const second = await act("pause", { body: { reason: "second" } });
    expect(second.body).toEqual(first.body);
    const resumed = await act("resume");
    const again = await act("resume");
    expect([resumed.body.revision, again.body.revision, again.status]).toEqual([3, 3, 200]);
  });

  it("a completed schedule is 409", async () => {
    await api.admin`delete from downbeat.schedule_due where schedule_id = ${schedule.id}`;
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${schedule.id}`;
    for (const action of ["pause", "resume"]) {
      const { status, body } = await act(action);
      expect([status, body.code]).toEqual([409, "no_next_occurrence"]);
    }
  });
});

describe("resuming", () => {
  it("goes on with the first occurrence after now, on the old grid", async () => {
    const { body: paused } = await act("pause");
    const { body } = await act("resume");
    expect([body.state, body.paused_at, body.pause_reason, body.revision]).toEqual(["active", null, null, 3]);
    const next = Date.parse(body.next_run_at);
    expect(next).toBeGreaterThan(Date.parse(paused.paused_at));
    expect((next - Date.parse(schedule.anchor_at)) % 1_000).toBe(0);
  });

  it("gives a one-off that was claimed ahead and canceled by the pause its run back", async () => {
    const runAt = new Date(Date.now() + 40_000).toISOString();
    const body = { name: `once-${randomUUID()}`.slice(0, 30), run_at: runAt, endpoint: "shop" };
    schedule = (await api.call("POST", "/api/v1/schedules", { key: acme.key, body })).body;
    const claimOnce = () =>
      dispatcher.begin(async (transaction) => {
        const rule = (await lockDue(transaction, { horizonMs: 60_000, schedulesMax: 100 })).find(
          ({ scheduleId }) => scheduleId === schedule.id,
        );
        if (rule === undefined) throw new Error("not due");
        const { tenantId, scheduleId, revision: scheduleRevision, nextRunAt: scheduledFor } = rule;
        const runs = [toClaimedRun({ tenantId, scheduleId, scheduleRevision, scheduledFor })];
        await insertClaimed(transaction, {
          runs,
          stretches: [],
          watermarks: [{ tenantId, scheduleId, next: null }],
          publishTimeoutMs: 10_000,
        });
      });
    await claimOnce();
    expect((await act("pause")).body.state).toBe("paused");
    expect((await runsOf(schedule.id)).map((run) => run.state)).toEqual(["canceled"]);
    expect((await act("resume")).body).toMatchObject({ state: "active", next_run_at: runAt });
    await claimOnce();
    expect((await runsOf(schedule.id)).map((run) => run.state)).toEqual(["pending"]);
  });

  it("a rule that is used up is 409, and the schedule stays paused", async () => {
    await act("pause");
    await api.admin`update downbeat.schedules set ends_at = now() where id = ${schedule.id}`;
    const { status, body } = await act("resume");
    expect([status, body.code]).toEqual([409, "no_next_occurrence"]);
    expect((await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key })).body.state).toBe("paused");
  });

  it("many pauses and resumes at once end in one of the two states, with a due row exactly when active", async () => {
    const answers = await Promise.all(
      ["pause", "resume", "pause", "resume", "pause", "resume", "resume", "pause"].map((action) => act(action)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const { body } = await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect(await dueOf(schedule.id)).toHaveLength(body.state === "active" ? 1 : 0);
  });
});

describe("deleting", () => {
  it("cancels what is to come, keeps the ledger, and the schedule is gone", async () => {
    const { body: run } = await act("run");
    await dispatcher.begin((transaction) => claim(transaction, 5_000));
    expect((await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: acme.key })).status).toBe(204);
    expect(await dueOf(schedule.id)).toHaveLength(0);
    expect((await runsOf(schedule.id)).filter(({ state }) => state === "canceled").length).toBeGreaterThanOrEqual(4);
    for (const action of ["pause", "resume", "run"]) expect((await act(action)).status).toBe(404);
    expect((await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key })).status).toBe(404);
    expect((await api.call("GET", `/api/v1/runs/${run.id}`, { key: acme.key })).status).toBe(200);
    expect((await api.call("GET", `/api/v1/runs?schedule=${schedule.id}`, { key: acme.key })).body.items.length).toBeGreaterThan(1);
  });
});

describe("running now", () => {
  it("makes a pending run of the manual kind that the next sweep sends, also while paused", async () => {
    await act("pause");
    const { status, body, headers } = await act("run");
    expect([status, headers.get("location")]).toEqual([202, `/api/v1/runs/${body.id}`]);
    expect(body).toMatchObject({ state: "pending", trigger: "manual", lag_ms: null, schedule: { id: schedule.id } });
    const [row] =
      await api.admin`select sweep_at <= now() as is_due, due_at = scheduled_for as same, trigger_id from downbeat.runs where id = ${body.id}`;
    expect(row).toEqual({ is_due: true, same: true, trigger_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(runId(schedule.id, Date.parse(body.scheduled_for), row?.["trigger_id"])).toBe(body.id);
  });

  it("with an idempotency key makes one run, however often and however concurrently it is asked", async () => {
    const headers = { "idempotency-key": "order-4711" };
    const answers = await Promise.all(Array.from({ length: 8 }, () => act("run", { headers })));
    answers.push(await act("run", { headers }));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get("idempotent-replayed") === "true")).toHaveLength(8);
    expect(await runsOf(schedule.id)).toHaveLength(1);
    expect((await act("run", { headers: { "idempotency-key": "another" } })).body.id).not.toBe(answers[0]?.body.id);
  });

  it("the same key makes a new run on another schedule, and on this one after 24 hours", async () => {
    const headers = { "idempotency-key": "daily" };
    const old = new Date(Date.now() - 25 * 3_600_000);
    await api.admin`select downbeat.ensure_run_partitions(${old}, ${old})`;
    await api.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, trigger_id, state)
      values (${acme.id}, ${runId(schedule.id, old.getTime(), "daily")}, ${schedule.id}, 1, ${old}, ${old}, 'daily', 'succeeded')`;
    const { body, headers: answered } = await act("run", { headers });
    expect([body.state, answered.get("idempotent-replayed")]).toEqual(["pending", null]);
  });

  it("a key that cannot be stored is refused by name", async () => {
    const { status, body } = await act("run", { headers: { "idempotency-key": "x".repeat(201) } });
    expect([status, body.errors[0].field]).toEqual([400, "idempotency-key"]);
  });
});
