import { randomUUID } from "node:crypto";
import { insertClaimed } from "@downbeat/store/insert-claimed.ts";
import { lockDue } from "@downbeat/store/lock-due.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bulkSchedulesMax } from "./bulk-schemas.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

/** A tenant of its own for each test: most of them speak of all schedules. */
beforeEach(async () => {
  tenant = await api.addTenant(`t-${randomUUID()}`);
});

interface Made {
  id: string;
  name: string;
  next_run_at: string;
  revision: number;
}

async function create(name: string, fields: Record<string, unknown> = { cron_expression: "0 0 * * *" }): Promise<Made> {
  const answer = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body: { name, endpoint: "shop", ...fields } });
  expect(answer).toMatchObject({ status: 201 });
  return answer.body;
}

const read = async (id: string) => (await api.call("GET", `/api/v1/schedules/${id}`, { key: tenant.key })).body;
const bulk = (body: Record<string, unknown>, query = "", key = tenant.key) =>
  api.call("POST", `/api/v1/schedules/bulk${query}`, { key, body });
/** Everything that a change could have written. */
const stored = () =>
  api.admin`
    select rule.*, due.next_run_at, due.scheduled_for, (select count(*) from downbeat.schedule_events event where event.schedule_id = rule.id) as events
    from downbeat.schedules rule left join downbeat.schedule_due due on due.schedule_id = rule.id
    where rule.tenant_id = ${tenant.id} order by rule.id`;

describe("changing many schedules", () => {
  it("spreads a herd in one call and shows the new instants, each the schedule's own, within the window and never early", async () => {
    const herd = await Promise.all(["a", "b", "c", "d"].map((name) => create(name)));
    const other = await create("other", { cron_expression: "30 4 * * *" });
    const { status, body } = await bulk({ filter: { cron_expression: " 0  0 * * * " }, changes: { spread: "15m" } });
    expect(status).toBe(200);
    expect(body).toMatchObject({ action: "update", matched: 4, changed: 4, left_out: 0, is_cut: false });
    expect(body.impact).toMatchObject({ runs_before: 120, runs_after: 120, added: 0, removed: 0, withdrawn: 0 });
    expect(body.schedules.map(({ id }: Made) => id)).toEqual(herd.map(({ id }) => id).sort());
    const after = body.schedules.map((one: { next_run_at_after: string }) => Date.parse(one.next_run_at_after));
    for (const [index, one] of body.schedules.entries()) {
      expect(one.next_run_at_before).toBe(herd[0]?.next_run_at);
      expect(after[index] - Date.parse(one.next_run_at_before)).toBeGreaterThanOrEqual(0);
      expect(after[index] - Date.parse(one.next_run_at_before)).toBeLessThan(15 * 60_000);
      expect(await read(one.id)).toMatchObject({
        spread: "15m",
        revision: 2,
        next_run_at: one.next_run_at_after,
        next_scheduled_for: one.next_run_at_before,
      });
    }
    expect(new Set(after)).toHaveLength(4);
    expect(Date.parse(body.impact.next_run_at)).toBe(Math.min(...after));
    expect(await read(other.id)).toMatchObject({ spread: null, revision: 1 });
  });

  it("answers a dry run with what the change then does, and writes nothing", async () => {
    for (const name of ["a", "b", "c"]) await create(name);
    const given = { filter: { all: true }, changes: { cron_expression: "0 12 * * *", spread: "10m" } };
    const before = await stored();
    const foreseen = await bulk(given, "?dry_run=true");
    expect(await stored()).toEqual(before);
    const { body, status } = await bulk(given);
    expect([foreseen.status, status]).toEqual([200, 200]);
    const undated = ({ impact: { from: _from, to: _to, ...impact }, ...rest }: typeof body) => ({ ...rest, impact });
    expect(undated(foreseen.body)).toEqual(undated(body));
    expect(body.impact).toMatchObject({ added: 90, removed: 90 });
  });

  it("changes nothing when it is refused for one, and names that one with its fields", async () => {
    for (const name of ["a", "b", "c"]) await create(name);
    const once = await create("one-off", { run_at: "2090-01-01T00:00:00Z" });
    const before = await stored();
    const { status, body } = await bulk({ filter: { all: true }, changes: { ends_at: "2089-01-01T00:00:00Z", spread: "5m" } });
    expect([status, body.code]).toEqual([422, "invalid_value"]);
    expect(body.detail).toContain(`Nothing was changed, because of the schedule "one-off" (${once.id}): `);
    expect(body.errors).toEqual([
      expect.objectContaining({
        field: "changes.ends_at",
        message: expect.stringMatching(/the first occurrence is after that.*\(schedule "one-off"\)$/),
      }),
    ]);
    expect(await stored()).toEqual(before);
  });

  it("asks for confirmation when all together would run ten times as often, and not when a few among many do", async () => {
    for (const name of ["a", "b"]) await create(name);
    const given = { filter: { all: true }, changes: { cron_expression: "* * * * *" } };
    const before = await stored();
    const { status, body } = await bulk(given);
    expect([status, body.code, body.errors[0].field]).toEqual([409, "confirmation_needed", "changes.confirm"]);
    expect(body.errors[0].message).toContain("the 2 schedules would run 1440 times as often, 86400 times in 30 days where it was 60");
    expect(await stored()).toEqual(before);
    expect((await bulk(given, "?dry_run=true")).status).toBe(200);
    expect((await bulk({ ...given, changes: { ...given.changes, confirm: true } })).status).toBe(200);
    await create("late-comer");
    expect((await bulk(given)).status).toBe(200);
  });

  it("withdraws what was claimed ahead of all of them, and counts it", async () => {
    const made = await Promise.all(["a", "b"].map((name) => create(name, { interval_seconds: 10 })));
    const dispatcher = api.database.connectAs("downbeat_dispatcher");
    const claimed = await dispatcher.begin(async (transaction) => {
      const due = (await lockDue(transaction, { horizonMs: 60_000, schedulesMax: 100 })).filter(({ tenantId }) => tenantId === tenant.id);
      const runs = due.map(({ tenantId, scheduleId, revision, nextRunAt }) => ({
        tenantId,
        scheduleId,
        scheduleRevision: revision,
        runId: runId(scheduleId, nextRunAt),
        scheduledFor: nextRunAt,
        dueAt: nextRunAt,
        spreadMs: null,
        retryUntil: null,
      }));
      const watermarks = due.map(({ tenantId, scheduleId, nextRunAt }) => {
        const next = { scheduledFor: nextRunAt + 10_000, dueAt: nextRunAt + 10_000 };
        return { tenantId, scheduleId, next };
      });
      await insertClaimed(transaction, { runs, stretches: [], watermarks, publishTimeoutMs: 10_000 });
      return runs.length;
    });
    expect(claimed).toBe(2);
    const given = { filter: { kind: "interval" }, changes: { interval_seconds: 3_600 } };
    expect((await bulk(given, "?dry_run=true")).body.impact.withdrawn).toBe(2);
    expect((await bulk(given)).body.impact.withdrawn).toBe(2);
    const runs = await api.admin`select state, reason from downbeat.runs where schedule_id = any(${made.map(({ id }) => id)}::uuid[])`;
    expect([...runs]).toEqual([
      { state: "canceled", reason: "schedule_changed" },
      { state: "canceled", reason: "schedule_changed" },
    ]);
  });
});

describe("beside others", () => {
  it("changes of the same schedules, in parts and one by one, take turns, and each of them counts", async () => {
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, index) => create(`s-${index}`, index % 3 === 0 ? { interval_seconds: 3_600 } : undefined)),
    );
    // Some without a row in the due index, which are locked by their rule alone.
    await bulk({ action: "pause", filter: { ids: made.slice(0, 10).map(({ id }) => id) } });
    const answers = await Promise.all([
      bulk({ filter: { all: true }, changes: { spread: "5m" } }),
      bulk({ filter: { kind: "cron" }, changes: { max_instances: 7 } }),
      bulk({ filter: { ids: made.slice(5, 25).map(({ id }) => id) }, changes: { on_resume: "latest" } }),
      bulk({ action: "resume", filter: { all: true } }),
      ...made.slice(0, 6).map(({ id }) => api.call("PATCH", `/api/v1/schedules/${id}`, { key: tenant.key, body: { grace_seconds: 60 } })),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    for (const [index, { id }] of made.entries()) {
      expect(await read(id)).toMatchObject({
        spread: "5m",
        state: "active",
        max_instances: index % 3 === 0 ? 3 : 7,
        on_resume: index >= 5 && index < 25 ? "latest" : "skip",
        grace_seconds: index < 6 ? 60 : 86_400,
      });
    }
    expect(await api.admin`select 1 from downbeat.schedule_due where tenant_id = ${tenant.id}`).toHaveLength(30);
  });

  it("a dry run waits for nobody", async () => {
    const { id } = await create("held");
    await api.admin.begin(async (transaction) => {
      await transaction`select 1 from downbeat.schedule_due where schedule_id = ${id} for update`;
      await transaction`select 1 from downbeat.schedules where id = ${id} for update`;
      const { status, body } = await bulk({ filter: { all: true }, changes: { spread: "5m" } }, "?dry_run=true");
      expect([status, body.changed]).toEqual([200, 1]);
    });
  });
});

describe("finding them", () => {
  it("takes every condition together, and leaves out what has nothing left to run unless it is named", async () => {
    await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name: "billing", base_url: "http://127.0.0.1:9/b" } });
    const schedules = {
      midnight: await create("report-midnight"),
      sharp: await create("report-sharp", { cron_expression: "0 9-17 * * MON-FRI" }),
      half: await create("half", { cron_expression: "30 * * * *", endpoint: "billing" }),
      often: await create("often", { cron_expression: "*/15 * * * *" }),
      every: await create("every", { interval_seconds: 600, endpoint: "billing" }),
      done: await create("report-done", { run_at: "2090-01-01T00:00:00Z" }),
    };
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${schedules.done.id}`;
    await api.admin`delete from downbeat.schedule_due where schedule_id = ${schedules.done.id}`;
    const found = async (filter: Record<string, unknown>) => {
      const { status, body } = await bulk({ filter, changes: { max_instances: 5 } }, "?dry_run=true");
      expect(status).toBe(200);
      return body.schedules.map(({ name }: Made) => name).sort();
    };
    expect(await found({ all: true })).toEqual(["every", "half", "often", "report-midnight", "report-sharp"]);
    expect(await found({ name_contains: "REPORT" })).toEqual(["report-midnight", "report-sharp"]);
    expect(await found({ name_contains: "%" })).toEqual([]);
    expect(await found({ endpoint: "billing", kind: "cron" })).toEqual(["half"]);
    expect(await found({ minute: 0 })).toEqual(["report-midnight", "report-sharp"]);
    expect(await found({ minute: 30 })).toEqual(["half"]);
    expect(await found({ minute: 7 })).toEqual([]);
    expect(await found({ ids: [schedules.often.id.toUpperCase(), schedules.every.id] })).toEqual(["every", "often"]);
    expect(await found({ names: ["half", "often"], kind: "cron", minute: 30 })).toEqual(["half"]);
  });

  it.each([
    [{ filter: {}, changes: { spread: "5m" } }, 422, "filter"],
    [{ filter: { all: true, kind: "cron" }, changes: { spread: "5m" } }, 422, "filter.all"],
    [{ filter: { all: true } }, 422, "changes"],
    [{ filter: { all: true }, changes: { confirm: true } }, 422, "changes"],
    [{ filter: { all: true }, changes: { name: "x" } }, 400, "changes.name"],
    [{ filter: { all: true }, changes: { spread: "5m" }, reason: "x" }, 422, "reason"],
    [{ action: "pause", filter: { all: true }, on_resume: "skip" }, 422, "on_resume"],
    [{ filter: { minutes: 0 }, changes: { spread: "5m" } }, 400, "filter.minutes"],
    [{ filter: { ids: ["x"] }, changes: { spread: "5m" } }, 422, "filter.ids.0"],
    [{ filter: { endpoint: "nope" }, changes: { spread: "5m" } }, 422, "filter.endpoint"],
    [{ filter: { names: ["nope"] }, changes: { spread: "5m" } }, 422, "filter.names.0"],
  ])("refuses %j by the name of the field", async (body, status, field) => {
    const answer = await bulk(body);
    expect([answer.status, answer.body.errors[0].field]).toEqual([status, field]);
  });

  it("changes none of more than one request may change, and says how many there are", async () => {
    const first = await create("first");
    await api.admin`
      insert into downbeat.schedules (tenant_id, name, kind, cron_expression, endpoint_id, target)
      select tenant_id, 'copy ' || number, kind, cron_expression, endpoint_id, target
      from downbeat.schedules, generate_series(1, ${bulkSchedulesMax}) number where id = ${first.id}`;
    const { status, body } = await bulk({ filter: { all: true }, changes: { spread: "5m" } });
    expect([status, body.code]).toEqual([409, "too_many_schedules"]);
    expect(body.detail).toContain(`finds ${bulkSchedulesMax + 1} schedules`);
    expect((await read(first.id)).revision).toBe(1);
  });

  it("finds only the caller's own: somebody else's id is one that does not exist", async () => {
    const mine = await create("mine");
    const stranger = await api.addTenant(`s-${randomUUID()}`);
    const { status, body } = await bulk({ filter: { ids: [mine.id] }, changes: { spread: "5m" } }, "", stranger.key);
    expect([status, body.errors[0].field]).toEqual([422, "filter.ids.0"]);
    expect((await bulk({ filter: { all: true }, changes: { spread: "5m" } }, "", stranger.key)).body.matched).toBe(0);
    expect(await read(mine.id)).toMatchObject({ spread: null, revision: 1 });
    // An administrator says for whom.
    expect((await bulk({ filter: { all: true }, changes: { spread: "5m" } }, "", api.adminKey)).body.code).toBe("tenant_required");
  });

  it("does not take its path from a schedule of that name", async () => {
    const named = await create("bulk");
    const call = (method: string, body?: unknown) =>
      api.call(method, "/api/v1/schedules/bulk", { key: tenant.key, ...(body === undefined ? {} : { body }) });
    expect((await call("GET")).body.id).toBe(named.id);
    expect((await call("PATCH", { spread: "5m" })).body).toMatchObject({ id: named.id, spread: "5m" });
    expect((await call("DELETE")).status).toBe(204);
    const { status, headers } = await call("PUT");
    expect([status, headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD, PATCH, POST"]);
  });
});

describe("pausing and resuming many", () => {
  it("sums up what it costs, leaves out what is paused or completed already, and takes a dry run back", async () => {
    const daily = await create("daily");
    await create("hourly", { cron_expression: "0 * * * *" });
    const done = await create("done", { run_at: "2090-01-01T00:00:00Z" });
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${done.id}`;
    await api.admin`delete from downbeat.schedule_due where schedule_id = ${done.id}`;
    const before = await stored();
    const given = { action: "pause", filter: { names: ["daily", "hourly", "done"] }, reason: "stocktaking" };
    const foreseen = await bulk(given, "?dry_run=true");
    expect(await stored()).toEqual(before);
    const paused = await bulk(given);
    expect(paused.body).toEqual(foreseen.body);
    expect(paused.body).toMatchObject({
      matched: 3,
      changed: 2,
      left_out: 1,
      pause: { occurrences: null, skipped: null, replayed: null, per_day: 25 },
    });
    expect(paused.body.schedules.map((one: { next_run_at_after: null }) => one.next_run_at_after)).toEqual([null, null]);
    expect(await read(daily.id)).toMatchObject({ state: "paused", pause_reason: "stocktaking" });
    expect((await bulk({ action: "pause", filter: { all: true } })).body).toMatchObject({ matched: 2, changed: 0, left_out: 2 });
    const resumed = await bulk({ action: "resume", filter: { all: true }, on_resume: "skip" });
    expect(resumed.body).toMatchObject({ matched: 2, changed: 2, left_out: 0, resume: { skipped: 0, replayed: 0 } });
    expect(await read(daily.id)).toMatchObject({ state: "active", next_run_at: daily.next_run_at });
  });

  it("until an instant counts what will be skipped; one that is past is refused for all", async () => {
    await create("daily");
    await create("other", { cron_expression: "0 12 * * *" });
    const until = new Date(Date.now() + 10 * 86_400_000).toISOString();
    const { body } = await bulk({ action: "pause", filter: { all: true }, until });
    expect(body.pause).toMatchObject({ occurrences: 20, skipped: 20, replayed: 0, per_day: 2 });
    const { status, body: refused } = await bulk({ action: "pause", filter: { all: true }, until: "2001-01-01T00:00:00Z" });
    expect([status, refused.errors[0].field]).toEqual([422, "until"]);
  });
});
