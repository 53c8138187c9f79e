import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
});
afterAll(() => api.close());

async function create(body: Record<string, unknown>) {
  const answer = await api.call("POST", "/api/v1/schedules", { key: acme.key, body: { endpoint: "shop", ...body } });
  expect(answer).toMatchObject({ status: 201 });
  return answer.body;
}

describe("creating", () => {
  it("a cron schedule is active, with its first occurrence after the database's now, in the due index and in the answer", async () => {
    const schedule = await create({ name: "nightly", cron_expression: "30 2 * * *", timezone: "America/New_York", input: { shop: 7 } });
    expect(schedule).toMatchObject({
      state: "active",
      kind: "cron",
      timezone: "America/New_York",
      revision: 1,
      input: { shop: 7 },
      tenant: { slug: "acme" },
    });
    const local = new Intl.DateTimeFormat("en-GB", { timeZone: "America/New_York", timeStyle: "short" }).format(
      new Date(schedule.next_run_at),
    );
    expect(local).toBe("02:30");
    const [due] =
      await api.admin`select next_run_at, next_run_at > now() as is_future from downbeat.schedule_due where schedule_id = ${schedule.id}`;
    expect(due).toEqual({ next_run_at: new Date(schedule.next_run_at), is_future: true });
    expect(await api.admin`select 1 from downbeat.schedule_stats where schedule_id = ${schedule.id}`).toHaveLength(1);
  });

  it("an interval is anchored at its creation, in whole milliseconds", async () => {
    const schedule = await create({ name: "each-5s", interval_seconds: 5 });
    expect(schedule).toMatchObject({ kind: "interval", timezone: null, target: { type: "http", method: "POST", path: "" } });
    expect(Date.parse(schedule.next_run_at) - Date.parse(schedule.anchor_at)).toBe(5_000);
    const [row] =
      await api.admin`select extract(microseconds from anchor_at)::int % 1000 as micros from downbeat.schedules where id = ${schedule.id}`;
    expect(row).toEqual({ micros: 0 });
  });

  it("a one-off keeps its instant", async () => {
    const schedule = await create({ name: "once", kind: "once", run_at: "2090-01-01T10:00:00+02:00", target: { path: "/year" } });
    expect(schedule).toMatchObject({
      kind: "once",
      run_at: "2090-01-01T08:00:00.000Z",
      next_run_at: "2090-01-01T08:00:00.000Z",
      target: { path: "/year" },
    });
  });

  it("a name is unique among the schedules that are not deleted", async () => {
    const first = await create({ name: "unique", interval_seconds: 60 });
    const second = await api.call("POST", "/api/v1/schedules", {
      key: acme.key,
      body: { name: "unique", interval_seconds: 60, endpoint: "shop" },
    });
    expect([second.status, second.body.code, second.body.errors[0].field]).toEqual([409, "name_taken", "name"]);
    expect((await api.call("DELETE", `/api/v1/schedules/${first.id}`, { key: acme.key })).status).toBe(204);
    await create({ name: "unique", interval_seconds: 60 });
  });

  it("wakes the dispatchers, when it commits", async () => {
    const heard = Promise.withResolvers<void>();
    const listener = await api.admin.listen("downbeat_due", () => heard.resolve());
    await create({ name: "waker", interval_seconds: 60 });
    await expect(heard.promise).resolves.toBeUndefined();
    await listener.unlisten();
  });
});

describe("reading", () => {
  it("finds a schedule by id and by name, also a name with odd characters", async () => {
    const name = "50% off / Über-Größe?";
    const { warnings, ...created } = await create({ name, interval_seconds: 60 });
    expect(warnings).toEqual([]);
    const byId = await api.call("GET", `/api/v1/schedules/${created.id}`, { key: acme.key });
    const byName = await api.call("GET", `/api/v1/schedules/${encodeURIComponent(name)}`, { key: acme.key });
    expect(byId.body).toEqual(created);
    expect(byName.body).toEqual(created);
  });

  it("pages through a list by name, without losing or repeating one", async () => {
    for (const name of ["page-c", "page-a", "page-e", "page-b", "page-d"]) await create({ name, interval_seconds: 60 });
    const names: string[] = [];
    let cursor: string | null = null;
    do {
      const after: string = cursor === null ? "" : `&cursor=${cursor}`;
      const { body } = await api.call("GET", `/api/v1/schedules?name=PAGE-&limit=2${after}`, { key: acme.key });
      names.push(...body.items.map((item: { name: string }) => item.name));
      cursor = body.next_cursor;
    } while (cursor !== null);
    expect(names).toEqual(["page-a", "page-b", "page-c", "page-d", "page-e"]);
  });

  it("a name filter takes % and _ as they are", async () => {
    await create({ name: "100%_sure", interval_seconds: 60 });
    const { body } = await api.call("GET", `/api/v1/schedules?name=${encodeURIComponent("%_")}`, { key: acme.key });
    expect(body.items.map((item: { name: string }) => item.name)).toEqual(["100%_sure"]);
  });

  it("filters by state", async () => {
    const paused = await create({ name: "sleeping", interval_seconds: 60 });
    await api.call("POST", `/api/v1/schedules/${paused.id}/pause`, { key: acme.key });
    const done = await create({ name: "done", run_at: "2090-01-01T00:00:00Z" });
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${done.id}`;
    await api.admin`delete from downbeat.schedule_due where schedule_id = ${done.id}`;
    const listed = async (state: string) =>
      (await api.call("GET", `/api/v1/schedules?state=${state}&limit=200`, { key: acme.key })).body.items;
    expect((await listed("paused")).map((item: { name: string }) => item.name)).toEqual(["sleeping"]);
    expect((await listed("completed")).map((item: { name: string }) => item.name)).toEqual(["done"]);
    for (const item of await listed("active")) expect(item.state).toBe("active");
  });

  it("shows the run that was claimed ahead as the next, and a one-off as active until its instant", async () => {
    const schedule = await create({ name: "claimed", run_at: "2090-01-01T00:00:00Z" });
    await api.admin`select downbeat.ensure_run_partitions(now(), now() + interval '1 day')`;
    await api.admin`delete from downbeat.schedule_due where schedule_id = ${schedule.id}`;
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${schedule.id}`;
    await api.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state)
      select ${acme.id}, downbeat.first_run_id(at), ${schedule.id}, 1, at, at, 'queued'
      from (select date_trunc('milliseconds', now()) + interval '1 minute' as at) as soon`;
    const { body } = await api.call("GET", `/api/v1/schedules/claimed`, { key: acme.key });
    expect(body).toMatchObject({ state: "active", next_run_at: expect.any(String) });
    expect(Math.abs(Date.parse(body.next_run_at) - Date.now() - 60_000)).toBeLessThan(30_000);
  });
});
