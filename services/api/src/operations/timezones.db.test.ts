import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let other: TestTenant;
const ids: Record<string, string> = {};
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  other = await api.addTenant("other");
  const create = async (tenant: TestTenant, name: string, rule: object) => {
    const { body } = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body: { name, endpoint: "shop", ...rule } });
    ids[name] = body.id;
  };
  await create(acme, "morning", { cron_expression: "0 9 * * *", timezone: "Europe/Berlin" });
  await create(acme, "evening", { cron_expression: "0 18 * * *", timezone: "Europe/Berlin" });
  await create(acme, "india", { cron_expression: "0 9 * * *", timezone: "Asia/Kolkata" });
  await create(acme, "often", { interval_seconds: 3600 });
  await create(other, "tokyo", { cron_expression: "0 9 * * *", timezone: "Asia/Tokyo" });
  const detail = (timezone: string) => ({
    timezones: [timezone],
    tzdata_before: "2026a",
    tzdata: "2026c",
    gone: ["2026-10-25T07:00:00.000Z"],
    come: ["2026-10-25T08:00:00.000Z"],
    from: "2026-10-25T08:00:00.000Z",
  });
  for (const [tenant, name, timezone] of [
    [acme, "morning", "Europe/Berlin"],
    [other, "tokyo", "Asia/Tokyo"],
  ] as const) {
    await api.admin`insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, detail)
      values (${tenant.id}, ${ids[name] ?? ""}, 'dispatcher', 'moved', ${api.admin.json(detail(timezone))})`;
  }
});
afterAll(() => api.close());

const ask = (key: string) => api.call("GET", "/api/v1/timezones", { key });

describe("GET /api/v1/timezones", () => {
  it("tells the zones of the tenant's cron schedules and when their clocks change next", async () => {
    const { status, body } = await ask(acme.key);
    expect(status).toBe(200);
    expect(body.tzdata).toBe(process.versions.tz);
    expect(body.items).toEqual([
      { timezone: "Asia/Kolkata", schedules: 1, is_known: true, offset: "+05:30", changes: [] },
      {
        timezone: "Europe/Berlin",
        schedules: 2,
        is_known: true,
        offset: expect.stringMatching(/^\+0[12]:00$/),
        changes: [
          { at: expect.stringMatching(/T01:00:00\.000Z$/), before: expect.any(String), after: expect.any(String) },
          { at: expect.stringMatching(/T01:00:00\.000Z$/), before: expect.any(String), after: expect.any(String) },
        ],
      },
    ]);
    const [, berlin] = body.items;
    expect(berlin.changes[0].before).toBe(berlin.offset);
    expect(berlin.changes[1]).toMatchObject({ before: berlin.changes[0].after, after: berlin.changes[0].before });
  });

  it("tells what a new version moved, each tenant its own", async () => {
    expect((await ask(acme.key)).body.moves).toEqual([
      {
        at: expect.any(String),
        tenant: { id: acme.id, slug: "acme" },
        schedule: { id: ids["morning"], name: "morning" },
        timezones: ["Europe/Berlin"],
        tzdata_before: "2026a",
        tzdata: "2026c",
        gone: ["2026-10-25T07:00:00.000Z"],
        come: ["2026-10-25T08:00:00.000Z"],
        from: "2026-10-25T08:00:00.000Z",
      },
    ]);
    const { body } = await ask(other.key);
    expect(body.items.map(({ timezone }: { timezone: string }) => timezone)).toEqual(["Asia/Tokyo"]);
    expect(body.moves.map(({ schedule }: { schedule: { name: string } }) => schedule.name)).toEqual(["tokyo"]);
  });

  it("shows an administrator those of all tenants", async () => {
    const { body } = await ask(api.adminKey);
    expect(body.items.map(({ timezone }: { timezone: string }) => timezone)).toEqual(["Asia/Kolkata", "Asia/Tokyo", "Europe/Berlin"]);
    expect(body.moves.map(({ tenant }: { tenant: { slug: string } }) => tenant.slug)).toEqual(["other", "acme"]);
  });

  it("tells the version of the dispatchers, once one has looked", async () => {
    expect((await ask(acme.key)).body.dispatchers).toBeNull();
    await api.admin`insert into downbeat.system_state (key, value) values ('tzdata', '{"subject": "2026b", "finishedAt": null, "progress": {"secret": 1}}')`;
    expect((await ask(acme.key)).body.dispatchers).toEqual({ tzdata: "2026b", compared_at: null });
    await api.admin`update downbeat.system_state set value = value || '{"finishedAt": 1785000000000.25}'`;
    expect((await ask(acme.key)).body.dispatchers).toEqual({ tzdata: "2026b", compared_at: new Date(1_785_000_000_000).toISOString() });
  });

  it("says of a zone that this version does not have that it is unknown", async () => {
    await api.admin`update downbeat.schedules set timezone = 'Mars/Olympus' where id = ${ids["india"] ?? ""}`;
    const { body } = await ask(acme.key);
    expect(body.items[1]).toEqual({ timezone: "Mars/Olympus", schedules: 1, is_known: false, offset: null, changes: [] });
  });
});
