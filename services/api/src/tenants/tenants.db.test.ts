import { randomUUID } from "node:crypto";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createApiKey } from "../http/api-keys.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

const defaultIntervalSecondsMin = 60;

let api: TestApi;
let other: TestTenant;
beforeAll(async () => {
  api = await startTestApi({ TENANT_INTERVAL_SECONDS_MIN: defaultIntervalSecondsMin });
  other = await api.addTenant("other");
});
afterAll(() => api.close());

/** A tenant of its own for each test, so that none meets another's limits. */
let tenant: TestTenant;
beforeEach(async () => {
  tenant = await api.addTenant(`t-${randomUUID().slice(0, 8)}`);
});

const noLimits = { interval_seconds_min: null, schedules_max: null, runs_per_day_max: null };

function update(body: unknown, options: { key?: string; tenant?: string } = { key: api.adminKey }) {
  return api.call("PATCH", `/api/v1/tenants/${tenant.slug}`, { ...options, body });
}

async function limit(limits: Record<string, number | null>) {
  expect(await update({ limits })).toMatchObject({ status: 200, body: { limits } });
}

function schedule(fields: Record<string, unknown>, options: { key: string; tenant?: string } = { key: tenant.key }) {
  return api.call("POST", "/api/v1/schedules", { ...options, body: { name: `schedule ${randomUUID()}`, endpoint: "shop", ...fields } });
}

describe("a tenant's answer", () => {
  it("shows no limits and no maintenance until there are some, the same in every place", async () => {
    const { body } = await api.call("GET", `/api/v1/tenants/${tenant.slug}`, { key: tenant.key });
    expect(body).toEqual({
      id: tenant.id,
      slug: tenant.slug,
      name: tenant.slug,
      limits: noLimits,
      maintenance: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect((await api.call("GET", "/api/v1/tenants", { key: tenant.key })).body.items).toEqual([body]);
    const { body: created } = await api.call("POST", "/api/v1/tenants", { key: api.adminKey, body: { slug: `${tenant.slug}-2` } });
    expect(created).toMatchObject({ limits: noLimits, maintenance: null, api_key: expect.any(String) });
  });
});

describe("changing a tenant", () => {
  it("an administrator changes its name and limits, each by itself, and takes a limit back with null", async () => {
    expect((await update({ name: "Acme & Söhne" })).body).toMatchObject({ slug: tenant.slug, name: "Acme & Söhne", limits: noLimits });
    const limits = { interval_seconds_min: 300, schedules_max: 10, runs_per_day_max: 5_000 };
    expect((await update({ limits })).body).toMatchObject({ name: "Acme & Söhne", limits });
    expect((await update({ limits: { schedules_max: null } })).body.limits).toEqual({ ...limits, schedules_max: null });
    const { body } = await api.call("GET", `/api/v1/tenants/${tenant.id}`, { key: tenant.key });
    expect(body.limits).toEqual({ ...limits, schedules_max: null });
    expect((await update({})).body.limits).toEqual(body.limits);
  });

  it("nobody else does: its own key may not, another tenant's does not find it", async () => {
    const own = await update({ limits: { schedules_max: 1_000 } }, { key: tenant.key });
    expect([own.status, own.body.code]).toEqual([403, "forbidden"]);
    const foreign = await update({ name: "mine" }, { key: other.key });
    const unknown = await api.call("PATCH", `/api/v1/tenants/${randomUUID()}`, { key: other.key, body: { name: "mine" } });
    expect([foreign.status, foreign.text.replace(foreign.body.request_id, "")]).toEqual([
      404,
      unknown.text.replace(unknown.body.request_id, ""),
    ]);
    expect((await update({ name: "mine" }, { key: api.adminKey, tenant: "other" })).status).toBe(404);
    expect((await api.call("GET", `/api/v1/tenants/${tenant.slug}`, { key: tenant.key })).body).toMatchObject({
      name: tenant.slug,
      limits: noLimits,
    });
  });

  it("the database keeps a tenant's own transaction from writing its limits and its maintenance", async () => {
    const written = tenantTransaction(api.database.connectAs("downbeat_api"), { kind: "tenant", tenantId: tenant.id }, (database) =>
      database.updateTable("downbeat.tenants").set({ schedules_max: 1_000_000 }).where("id", "=", tenant.id).execute(),
    );
    await expect(written).rejects.toThrow("row-level security");
  });

  const whole = "must be a whole number from";
  const cases: [string, Record<string, unknown>, number, string, string][] = [
    ["an interval of nothing", { limits: { interval_seconds_min: 0 } }, 422, "limits.interval_seconds_min", `${whole} 1 to 86400`],
    [
      "an interval of more than a day",
      { limits: { interval_seconds_min: 86_401 } },
      422,
      "limits.interval_seconds_min",
      `${whole} 1 to 86400`,
    ],
    ["a fraction", { limits: { schedules_max: 1.5 } }, 400, "limits.schedules_max", "must be a whole number"],
    ["fewer than none", { limits: { schedules_max: -1 } }, 422, "limits.schedules_max", `${whole} 0 to 1000000`],
    ["more than fits", { limits: { runs_per_day_max: 2_147_483_648 } }, 422, "limits.runs_per_day_max", `${whole} 0 to 2147483647`],
    ["a text", { limits: { runs_per_day_max: "many" } }, 400, "limits.runs_per_day_max", "must be"],
    ["an unknown limit", { limits: { schedule_max: 5 } }, 400, "limits.schedule_max", 'did you mean "schedules_max"?'],
    ["another slug", { slug: "other" }, 400, "slug", "is not a field that this route knows"],
    ["an empty name", { name: "" }, 422, "name", "must not be empty"],
  ];
  it.each(cases)("refuses %s, naming the field and what is allowed", async (_title, body, status, field, message) => {
    const answer = await update(body);
    expect({ status: answer.status, errors: answer.body.errors }).toMatchObject({
      status,
      errors: [{ field, message: expect.stringContaining(message) }],
    });
  });
});

describe("interval_seconds_min", () => {
  const everyTenSeconds = [{ interval_seconds: 10 }, { cron_expression: "*/10 * * * * *" }];

  it.each(everyTenSeconds)("a tenant's key is held to the installation's default, an administrator's is not: %j", async (rule) => {
    const refused = await schedule(rule);
    expect([refused.status, refused.body.errors[0].field]).toEqual([422, Object.keys(rule)[0]]);
    expect(refused.body.errors[0].message).toContain(String(defaultIntervalSecondsMin));
    expect((await schedule(rule, { key: api.adminKey, tenant: tenant.slug })).status).toBe(201);
  });

  it.each(everyTenSeconds)("a tenant with a limit of its own is held to that, above or below the default: %j", async (rule) => {
    await limit({ interval_seconds_min: 10 });
    expect((await schedule(rule)).status).toBe(201);
    await limit({ interval_seconds_min: 11 });
    expect((await schedule(rule)).status).toBe(422);
    expect((await schedule(rule, { key: api.adminKey, tenant: tenant.slug })).status).toBe(201);
    await limit({ interval_seconds_min: 3_600 });
    expect((await schedule({ interval_seconds: 1_800 })).status).toBe(422);
    await limit({ interval_seconds_min: null });
    expect((await schedule({ interval_seconds: 60 })).status).toBe(201);
  });

  it.each(everyTenSeconds)("holds for a change of the rule as for a new one: %j", async (rule) => {
    const { body: created } = await schedule({ cron_expression: "0 9 * * *" });
    const patch = (body: Record<string, unknown>, options: { key: string; tenant?: string } = { key: tenant.key }) =>
      api.call("PATCH", `/api/v1/schedules/${created.id}`, { ...options, body: { confirm: true, ...body } });
    const change = "interval_seconds" in rule ? { kind: "interval", ...rule } : rule;
    const refused = await patch(change);
    expect([refused.status, refused.body.errors[0].field]).toEqual([422, Object.keys(rule)[0]]);
    expect((await patch(change, { key: api.adminKey, tenant: tenant.slug })).status).toBe(200);
    // What the administrator allowed stays when the tenant changes something else.
    expect((await patch({ misfire: "all" })).status).toBe(200);
    expect((await patch(change)).status).toBe(422);
  });
});

describe("schedules_max", () => {
  it("refuses one more than the tenant may have, until one is deleted or the limit is raised", async () => {
    await limit({ schedules_max: 2 });
    const [{ body: first }] = [await schedule({ interval_seconds: 60 }), await schedule({ interval_seconds: 60 })];
    for (const options of [{ key: tenant.key }, { key: api.adminKey, tenant: tenant.slug }]) {
      const { status, body } = await schedule({ interval_seconds: 60 }, options);
      expect([status, body.code]).toEqual([409, "limit_reached"]);
      expect(body.detail).toContain("has 2 schedules and may have 2");
    }
    expect((await api.call("DELETE", `/api/v1/schedules/${first.id}`, { key: tenant.key })).status).toBe(204);
    expect((await schedule({ interval_seconds: 60 })).status).toBe(201);
    await limit({ schedules_max: 3 });
    expect((await schedule({ interval_seconds: 60 })).status).toBe(201);
    await limit({ schedules_max: 0 });
    expect((await schedule({ interval_seconds: 60 })).status).toBe(409);
  });
});

describe("maintenance", () => {
  const path = () => `/api/v1/tenants/${tenant.slug}/maintenance`;
  const begin = (body: Record<string, unknown> = {}, options: { key: string; tenant?: string } = { key: tenant.key }) =>
    api.call("POST", path(), { ...options, body });
  const end = (options: { key: string; tenant?: string } = { key: tenant.key }) => api.call("DELETE", path(), options);
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
  const inTwoHours = () => new Date(Date.now() + 7_200_000).toISOString();

  it("begins now and lasts until somebody ends it, unless it is told otherwise", async () => {
    const { status, body } = await api.call("POST", path(), { key: tenant.key });
    expect([status, body.maintenance]).toEqual([200, { from: expect.any(String), until: null, reason: null, is_active: true }]);
    expect((await api.call("GET", `/api/v1/tenants/${tenant.id}`, { key: tenant.key })).body.maintenance).toEqual(body.maintenance);
    const ended = await end();
    expect(ended.body.maintenance).toEqual({ ...body.maintenance, until: expect.any(String), is_active: false });
    expect(Date.parse(ended.body.maintenance.until)).toBeGreaterThanOrEqual(Date.parse(ended.body.maintenance.from));
    // Ending what is over changes nothing.
    expect((await end()).body).toEqual(ended.body);
  });

  it("an administrator begins and ends it as the tenant does; a key that may only read does not", async () => {
    expect((await begin({}, { key: api.adminKey })).body.maintenance).toMatchObject({ is_active: true });
    expect((await end({ key: api.adminKey, tenant: tenant.slug })).body.maintenance).toMatchObject({ is_active: false });
    const { key } = await createApiKey(api.admin, { scope: "read", tenantId: tenant.id, name: "reader", env: "test" });
    expect([(await begin({}, { key })).status, (await end({ key })).status]).toEqual([403, 403]);
  });

  it("another tenant's does not exist", async () => {
    for (const method of ["POST", "DELETE"]) {
      const foreign = await api.call(method, path(), { key: other.key });
      const unknown = await api.call(method, `/api/v1/tenants/${randomUUID()}/maintenance`, { key: other.key });
      expect([foreign.status, foreign.text.replace(foreign.body.request_id, "")]).toEqual([
        404,
        unknown.text.replace(unknown.body.request_id, ""),
      ]);
    }
    expect((await begin({}, { key: api.adminKey, tenant: "other" })).status).toBe(404);
    expect((await api.call("GET", `/api/v1/tenants/${tenant.slug}`, { key: tenant.key })).body.maintenance).toBeNull();
  });

  it("while it is on, its end and its reason can be changed, each by itself", async () => {
    const until = inAnHour();
    const first = (await begin({ until, reason: "moving house" })).body.maintenance;
    expect(first).toMatchObject({ until, reason: "moving house" });
    const later = inTwoHours();
    expect((await begin({ until: later })).body.maintenance).toEqual({ ...first, until: later });
    expect((await begin({ reason: "still moving" })).body.maintenance).toEqual({ ...first, until: later, reason: "still moving" });
    expect((await begin({ from: first.from, until: null, reason: null })).body.maintenance).toEqual({
      ...first,
      until: null,
      reason: null,
    });
  });

  it("can be planned, planned anew and called off", async () => {
    const [from, until] = [inAnHour(), inTwoHours()];
    expect((await begin({ from, until, reason: "tonight" })).body.maintenance).toEqual({
      from,
      until,
      reason: "tonight",
      is_active: false,
    });
    expect((await begin({ from: until })).body.maintenance).toEqual({ from: until, until: null, reason: null, is_active: false });
    expect((await end()).body.maintenance).toBeNull();
  });

  it("refuses a stretch that cannot be, naming the field, the value and what is allowed", async () => {
    const past = "2020-01-01T00:00:00.000Z";
    const cases: [Record<string, unknown>, number, string, string][] = [
      [{ from: past }, 422, "from", `is ${past}, which is in the past`],
      [{ until: past }, 422, "until", `is ${past}, which is in the past`],
      [{ from: inTwoHours(), until: inAnHour() }, 422, "until", "it must be later than from"],
      [{ until: "tomorrow" }, 422, "until", "must be a date and time with an offset"],
      [{ until: 5 }, 400, "until", "must be a text"],
      [{ to: inAnHour() }, 400, "to", "is not a field that this route knows"],
      [{ reason: "x".repeat(501) }, 422, "reason", ""],
    ];
    for (const [body, status, field, message] of cases) {
      const answer = await begin(body);
      expect({ body, status: answer.status, errors: answer.body.errors }).toMatchObject({
        body,
        status,
        errors: [{ field, message: expect.stringContaining(message) }],
      });
    }
    await begin();
    const { status, body } = await begin({ from: inAnHour() });
    expect([status, body.errors[0].field]).toEqual([422, "from"]);
    expect(body.errors[0].message).toContain("a maintenance is on since");
  });
});
