import { randomUUID } from "node:crypto";
import { runId } from "@downbeat/store/run-id.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey } from "../http/api-keys.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

/** What the route itself answers for; what can become of an occurrence is made to happen in tests/integration/explain.test.ts. */
let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const thisHour = Math.floor(Date.now() / hourMs) * hourMs;

beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
});
afterAll(() => api.close());

interface Created {
  id: string;
  name: string;
}

/** A schedule that looks as if it had been made `days` ago. */
async function create(fields: Record<string, unknown> = {}, days = 100): Promise<Created> {
  const body = { name: `s-${randomUUID().slice(0, 13)}`, endpoint: "shop", cron_expression: "0 * * * *", ...fields };
  const { body: created } = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
  const createdAt = new Date(thisHour - days * dayMs);
  await api.admin`update downbeat.schedules set created_at = ${createdAt} where id = ${created.id}`;
  await api.admin`update downbeat.schedule_events set at = ${createdAt} where schedule_id = ${created.id}`;
  return created;
}

const explain = (schedule: string, at?: string | number, options: { key?: string; tenant?: string } = {}) => {
  const asked = typeof at === "number" ? new Date(at).toISOString() : at;
  const query = asked === undefined ? "" : `?at=${encodeURIComponent(asked)}`;
  return api.call("GET", `/api/v1/schedules/${encodeURIComponent(schedule)}/explain${query}`, { key: acme.key, ...options });
};

/** A row of the ledger, as a claim writes it. */
async function record(
  { id }: Created,
  scheduledFor: number,
  fields: { state: string; reason?: string; from?: number; count?: number },
): Promise<string> {
  const own = runId(id, scheduledFor);
  const at = new Date(scheduledFor);
  await api.admin`select downbeat.ensure_run_partitions(${at}, ${at})`;
  await api.admin`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, reason, range_from, range_count, finished_at)
    values (${acme.id}, ${own}, ${id}, 1, ${at}, ${at}, ${fields.state}, ${fields.reason ?? null}, ${fields.from === undefined ? null : new Date(fields.from)},
      ${fields.count ?? null}, now())`;
  return own;
}

describe("what is asked about", () => {
  it("is the last occurrence, where nothing else is said", async () => {
    const { id } = await create();
    const { body } = await explain(id);
    expect(body).toMatchObject({ asked: null, at: new Date(thisHour).toISOString() });
    expect(body.next.at).toBe(new Date(thisHour + hourMs).toISOString());
  });

  it("is the first to come, of a schedule that has had none", async () => {
    const { id } = await create({}, 0);
    await api.admin`update downbeat.schedules set created_at = now() where id = ${id}`;
    expect((await explain(id)).body).toMatchObject({ outcome: "not_yet_due", at: new Date(thisHour + hourMs).toISOString() });
  });

  it.each(["yesterday", "2026-02-30T00:00:00Z", "2026-03-08T02:30:00 01:00", "", "x".repeat(50)])(
    "400 for %j, with what would be right",
    async (at) => {
      const { id } = await create();
      const { status, body } = await explain(id, at);
      expect([status, body.code, body.errors[0].field]).toEqual([400, "invalid_request", "at"]);
    },
  );

  it("is read in the schedule's zone, where it has no offset; of two showings the other is named", async () => {
    const { id } = await create({ cron_expression: "30 1 * * *", timezone: "America/New_York", dst_overlap: "both" }, 800);
    const { body } = await explain(id, "2025-11-02T01:30");
    expect(body).toMatchObject({ at: "2025-11-02T05:30:00.000Z", local: "2025-11-02T01:30:00-04:00", timezone: "America/New_York" });
    const zone = body.steps.find(({ step }: { step: string }) => step === "zone");
    expect(zone).toMatchObject({ passed: true, data: { dst_overlap: "both", others: ["2025-11-02T06:30:00.000Z"] } });
  });

  it.each([{ cron_expression: "0 * * * *" }, { interval_seconds: 3_600 }, { run_at: new Date(thisHour + dayMs).toISOString() }])(
    "may be any instant there is: %j",
    async (rule) => {
      const { id } = await create({ cron_expression: undefined, ...rule });
      for (const at of ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]) expect((await explain(id, at)).status).toBe(200);
    },
  );
});

describe("who may ask", () => {
  it("the tenant's keys, read-only ones too, and administrators", async () => {
    const { id, name } = await create();
    const { key } = await createApiKey(api.admin, { scope: "read", tenantId: acme.id, name: "reader", env: "test" });
    for (const options of [{ key }, { key: api.adminKey }, { key: api.adminKey, tenant: "acme" }]) {
      for (const schedule of [id, name])
        expect((await explain(schedule, thisHour, options)).body).toMatchObject({ schedule: { id, name } });
    }
  });

  it("nobody else: a foreign schedule does not exist", async () => {
    const { id, name } = await create();
    for (const schedule of [id, name, randomUUID()]) expect((await explain(schedule, thisHour, { key: globex.key })).status).toBe(404);
  });

  it("a deleted schedule is found by its id, and not by its name", async () => {
    const { id, name } = await create();
    await api.call("DELETE", `/api/v1/schedules/${id}`, { key: acme.key });
    expect((await explain(name, thisHour)).status).toBe(404);
    const { body } = await explain(id, thisHour + hourMs);
    expect(body).toMatchObject({ outcome: "deleted", next: { outcome: "deleted" } });
  });

  it("what other tenants do shows nowhere", async () => {
    const body = { name: "theirs", endpoint: "shop", cron_expression: "0 * * * *" };
    const theirs = (await api.call("POST", "/api/v1/schedules", { key: globex.key, body })).body;
    await api.call("POST", `/api/v1/schedules/${theirs.id}/run`, { key: globex.key });
    const { id } = await create();
    const { text } = await explain(id, thisHour);
    for (const foreign of [theirs.id, globex.id, "theirs", "globex"]) expect(text).not.toContain(foreign);
  });
});

describe("a stretch is found from every occurrence in it", () => {
  it.each([0, 1, 20, 60])("%d days before its end", async (days) => {
    const schedule = await create();
    const [from, to] = [thisHour - 70 * dayMs, thisHour - 5 * dayMs];
    const count = (to - from) / hourMs + 1;
    const stretch = await record(schedule, to, { state: "missed", reason: "coalesced", from, count });
    const replacement = await record(schedule, to + hourMs, { state: "succeeded" });
    // Withdrawn by a pause while it was claimed ahead: its row lies inside of the stretch.
    const withdrawn = await record(schedule, to - 30 * dayMs, { state: "canceled", reason: "schedule_changed" });
    const { body } = await explain(schedule.id, to - days * dayMs);
    expect(body).toMatchObject({ outcome: "missed_coalesced", run: { id: stretch, range_count: count } });
    expect(body.headline).toContain(`run ${replacement}`);
    expect((await explain(schedule.id, to - 30 * dayMs)).body.run.id).toBe(withdrawn);
    expect((await explain(schedule.id, from)).body.run.id).toBe(stretch);
    for (const outside of [from - hourMs, to + 2 * hourMs])
      expect((await explain(schedule.id, outside)).body).toMatchObject({ outcome: "lost", run: null });
  });

  it("and nothing between its occurrences is in it", async () => {
    const schedule = await create();
    await record(schedule, thisHour - hourMs, { state: "missed", reason: "late", from: thisHour - 9 * hourMs, count: 9 });
    expect((await explain(schedule.id, thisHour - 4 * hourMs + 60_000)).body).toMatchObject({ outcome: "never_matched", run: null });
  });
});

describe("a calendar that was changed since", () => {
  it("is asked as it was: an occurrence that it admitted then is not refused today", async () => {
    const day = new Date(thisHour - 2 * dayMs).toISOString().slice(0, 10);
    const calendar = await api.call("POST", "/api/v1/calendars", {
      key: acme.key,
      body: { name: `c-${randomUUID().slice(0, 8)}`, kind: "blackout", entries: ["2020-01-01"] },
    });
    const schedule = await create({ calendars: [calendar.body.id] });
    const own = await record(schedule, thisHour - 2 * dayMs, { state: "succeeded" });
    const changed = await api.call("PATCH", `/api/v1/calendars/${calendar.body.id}`, { key: acme.key, body: { entries: [day] } });
    expect(changed.status).toBe(200);
    const { body } = await explain(schedule.id, thisHour - 2 * dayMs);
    expect(body).toMatchObject({ outcome: "fired", run: { id: own } });
    const steps = Object.fromEntries(body.steps.map((step: { step: string }) => [step.step, step]));
    expect(steps["calendar"]).toMatchObject({ passed: true });
    expect(steps["rule"].text).toContain(`entries of calendar "${calendar.body.name}" from ["2020-01-01"] to ["${day}"]`);
  });
});

it("an occurrence that the self-audit has found lost says when it did", async () => {
  const schedule = await create();
  const lost = [new Date(thisHour - dayMs).toISOString()];
  await api.admin`
    insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, detail)
    values (${acme.id}, ${schedule.id}, 'dispatcher', 'audit_difference', ${api.admin.json({ lost, unexpected: [], lost_count: 1, unexpected_count: 0 })})`;
  const { body } = await explain(schedule.id, thisHour - dayMs);
  expect(body.outcome).toBe("lost");
  expect(body.headline).toMatch(/look at the self-audit, which found it at \S+Z\.$/);
});
