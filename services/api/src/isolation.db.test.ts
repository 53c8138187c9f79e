import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "./start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
/** What globex owns; acme's key must not find any of it. */
const owned: Record<"tenant" | "endpoint" | "calendar" | "schedule" | "run" | "backfill", string> = {
  tenant: "",
  endpoint: "",
  calendar: "",
  schedule: "",
  run: "",
  backfill: "",
};

/** What a request for a backfill cannot do without. */
const stretch = { from: "2026-01-01T00:00:00Z" };

beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
  const body = { name: "secret plans", interval_seconds: 3600, endpoint: "shop" };
  const schedule = await api.call("POST", "/api/v1/schedules", { key: globex.key, body });
  const run = await api.call("POST", `/api/v1/schedules/${schedule.body.id}/run`, { key: globex.key });
  const backfill = await api.call("POST", `/api/v1/schedules/${schedule.body.id}/backfills`, { key: globex.key, body: stretch });
  const closed = { name: "closing days", kind: "blackout", entries: ["12-25"] };
  const calendar = await api.call("POST", "/api/v1/calendars", { key: globex.key, body: closed });
  Object.assign(owned, {
    tenant: globex.id,
    endpoint: schedule.body.endpoint.id,
    calendar: calendar.body.id,
    schedule: schedule.body.id,
    run: run.body.id,
    backfill: backfill.body.id,
  });
});
afterAll(() => api.close());

describe("another tenant's things do not exist (rule K7)", () => {
  it("every route of the API that takes an id answers a foreign one with the bytes of an unknown one", async () => {
    const { body: document } = await api.call("GET", "/api/v1/openapi.json");
    const routes = Object.entries(document.paths as Record<string, Record<string, unknown>>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
    );
    const withId = routes.filter(({ path }) => path.includes("{"));
    expect(withId.length).toBeGreaterThanOrEqual(8);
    for (const { path, method } of withId) {
      const kind = /\{(\w+)\}/.exec(path)?.[1] as keyof typeof owned;
      const names = { schedule: ["secret plans"], tenant: ["globex"], calendar: ["closing days"] }[kind as string] ?? [];
      const unknown = await ask(method, path, randomUUID());
      expect({ method, path, status: unknown.status }).toEqual({ method, path, status: 404 });
      for (const id of [owned[kind], owned[kind].toUpperCase(), ...names]) {
        const foreign = await ask(method, path, id);
        const expected = { method, path, id, status: 404, bytes: bytesOf(unknown) };
        expect({ method, path, id, status: foreign.status, bytes: bytesOf(foreign) }).toEqual(expected);
      }
    }
  });

  it("no list shows a foreign row, whatever it is filtered by", async () => {
    for (const path of ["/tenants", "/endpoints", "/calendars", "/schedules", "/schedules?name=secret", "/runs", "/runs?state=pending"]) {
      const { text } = await api.call("GET", `/api/v1${path}`, { key: acme.key });
      for (const id of Object.values(owned)) expect(`${path} answers ${text}`).not.toContain(id);
    }
    const filtered = await api.call("GET", `/api/v1/runs?schedule=${owned.schedule}`, { key: acme.key });
    const unknown = await api.call("GET", `/api/v1/runs?schedule=${randomUUID()}`, { key: acme.key });
    expect(bytesOf(filtered)).toBe(bytesOf(unknown));
  });

  it("a cursor that names another tenant's rows shows none of them", async () => {
    const cursor = Buffer.from(JSON.stringify([globex.id, ""])).toString("base64url");
    for (const path of ["endpoints", "calendars", "schedules"]) {
      const { body } = await api.call("GET", `/api/v1/${path}?cursor=${cursor}`, { key: acme.key });
      for (const item of body.items) expect(item.tenant.id).toBe(acme.id);
    }
  });

  it("a schedule cannot call another tenant's endpoint", async () => {
    const body = { name: "thief", interval_seconds: 3600, endpoint: owned.endpoint };
    const { status, body: problem } = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
    expect([status, problem.errors[0].field]).toEqual([422, "endpoint"]);
  });
});

function ask(method: string, path: string, id: string) {
  const body = method === "PATCH" ? { name: "taken over" } : path.endsWith("/backfills") ? stretch : {};
  const options = { key: acme.key, ...(method === "POST" || method === "PATCH" ? { body } : {}) };
  return api.call(method, path.replace(/\{\w+\}/, encodeURIComponent(id)), options);
}

function bytesOf({ text, body }: { text: string; body: { request_id: string } }): string {
  return text.replace(body.request_id, "");
}

describe("the database holds the line by itself (rule K7)", () => {
  it("every table with tenant_id forces row-level security and has a policy for the API; its partitions are closed to direct access", async () => {
    const tables = await api.admin<{ name: string; isForced: boolean; isPartition: boolean; policies: number }[]>`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as "isForced", c.relispartition as "isPartition",
        (select count(*)::int from pg_policy p where p.polrelid = c.oid and 'downbeat_api'::regrole = any(p.polroles) and p.polcmd = '*') as policies
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where c.relnamespace = 'downbeat'::regnamespace and c.relkind in ('r', 'p')`;
    expect(tables.length).toBeGreaterThan(9);
    for (const table of tables) {
      // Access through the parent obeys the parent's policy; a partition without one shows nothing to whoever names it.
      expect(table).toMatchObject({ isForced: true, policies: table.isPartition ? 0 : 1 });
    }
  });

  it("beyond that it may read the calendars of the installation, and nothing else of anybody", async () => {
    const further = await api.admin`
      select polrelid::regclass::text as "table", polcmd as command, pg_get_expr(polqual, polrelid) as condition from pg_policy
      where 'downbeat_api'::regrole = any(polroles) and polcmd <> '*'`;
    expect(further).toEqual([{ table: "downbeat.calendars", command: "r", condition: "(tenant_id IS NULL)" }]);
  });

  it("the API's role neither owns tables nor may bypass the policies", async () => {
    const [role] = await api.admin`select rolbypassrls, rolsuper from pg_roles where rolname = 'downbeat_api'`;
    expect(role).toEqual({ rolbypassrls: false, rolsuper: false });
    expect(await api.admin`select relname from pg_class where relowner = 'downbeat_api'::regrole`).toHaveLength(0);
  });

  it("a transaction that names no tenant sees no row of anybody", async () => {
    const sql = api.database.connectAs("downbeat_api");
    for (const table of [
      "tenants",
      "endpoints",
      "endpoint_secrets",
      "calendars",
      "schedules",
      "schedule_due",
      "schedule_stats",
      "runs",
      "attempts",
      "run_events",
      "api_keys",
    ]) {
      const seen = await sql`select 1 from ${sql(`downbeat.${table}`)}`;
      expect({ table, seen: seen.length }).toEqual({ table, seen: 0 });
    }
  });

  it("a transaction of one tenant cannot write a row of another", async () => {
    const sql = api.database.connectAs("downbeat_api");
    const steal = sql.begin(async (transaction) => {
      await transaction`select set_config('app.tenant_id', ${acme.id}, true)`;
      await transaction`insert into downbeat.endpoints (tenant_id, name, base_url) values (${globex.id}, 'planted', 'https://evil.example')`;
    });
    await expect(steal).rejects.toThrow("row-level security");
    const moved = await sql.begin(async (transaction) => {
      await transaction`select set_config('app.tenant_id', ${acme.id}, true)`;
      return transaction`update downbeat.schedules set name = 'mine' where id = ${owned.schedule} returning 1`;
    });
    expect(moved).toHaveLength(0);
  });
});
