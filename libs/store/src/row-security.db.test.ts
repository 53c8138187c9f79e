import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { arrangeLeased, arrangeSchedule, type ArrangedSchedule } from "./runs.test-support.ts";
import { type DataScope, tenantTransaction } from "./tenant-transaction.ts";

let database: TestDatabase;
let api: Sql;
let ours: ArrangedSchedule;
let theirs: ArrangedSchedule;

beforeAll(async () => {
  database = await createTestDatabase();
  api = database.connectAs("downbeat_api", 2);
  const sql = database.admin;
  [ours, theirs] = [await arrangeSchedule(sql), await arrangeSchedule(sql)];
  // One row of each table for each tenant.
  for (const schedule of [ours, theirs]) {
    const { tenantId, scheduleId } = schedule;
    const run = await arrangeLeased(sql, schedule);
    await sql`insert into downbeat.schedule_due values (${tenantId}, ${scheduleId}, now())`;
    await sql`insert into downbeat.schedule_stats (tenant_id, schedule_id) values (${tenantId}, ${scheduleId})`;
    await sql`insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, finished_at) values (${tenantId}, ${run.runId}, 1, 'success', now())`;
    await sql`insert into downbeat.run_events (tenant_id, run_id, actor, event) values (${tenantId}, ${run.runId}, 'test', 'failed')`;
    await sql`insert into downbeat.schedule_gates (tenant_id, schedule_id) values (${tenantId}, ${scheduleId})`;
    await sql`insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event) values (${tenantId}, ${scheduleId}, 'test', 'paused')`;
    await sql`insert into downbeat.backfills (tenant_id, schedule_id, from_at, to_at, rule, concurrency, planned, created_by)
      values (${tenantId}, ${scheduleId}, now(), now(), '{}', 1, 0, 'test')`;
    await sql`insert into downbeat.tenant_usage (tenant_id, day) values (${tenantId}, now()::date)`;
    await sql`insert into downbeat.calendars (tenant_id, name, kind, entries) values (${tenantId}, 'holidays', 'blackout', '[]')`;
    await sql`insert into downbeat.api_keys (id, tenant_id, scope, name, hash) values (${tenantId}, ${tenantId}, 'tenant', 'key', '')`;
  }
});
afterAll(() => database.drop());

const tenantTables = [
  "endpoints",
  "endpoint_secrets",
  "schedules",
  "schedule_due",
  "schedule_stats",
  "runs",
  "attempts",
  "run_events",
  "api_keys",
  "calendars",
  "schedule_gates",
  "schedule_events",
  "backfills",
  "tenant_usage",
];

/** How many rows of each table the API's role sees. */
async function countVisible(scope?: DataScope): Promise<Record<string, number>> {
  const counting = ["tenants", ...tenantTables].map((table) => `(select count(*)::int from downbeat.${table}) as ${table}`).join(", ");
  const rows = await api.begin(async (transaction) => {
    if (scope?.kind === "tenant") await transaction`select set_config('app.tenant_id', ${scope.tenantId}, true)`;
    if (scope?.kind === "platform") await transaction`select set_config('app.scope', 'platform', true)`;
    return transaction.unsafe<Record<string, number>[]>(`select ${counting}`);
  });
  return { ...rows[0] };
}

const each = (count: number) => Object.fromEntries(["tenants", ...tenantTables].map((table) => [table, count]));

test("every table with a tenant, partitions too, is under forced row-level security", async () => {
  const rows = await database.admin<{ name: string; isForced: boolean }[]>`
    select relname as name, relrowsecurity and relforcerowsecurity as "isForced"
    from pg_class
    where relnamespace = 'downbeat'::regnamespace and relkind in ('r', 'p')
      and (relname = 'tenants' or exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped))`;
  expect(rows.filter(({ isForced }) => !isForced)).toEqual([]);
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(tenantTables));
  expect(rows.filter(({ name }) => /^(runs|attempts|run_events)_\d{8}$/.test(name)).length).toBeGreaterThanOrEqual(3 * 9);
});

test("every table with a tenant has a policy for the API that names the tenant in what is read and in what is written", async () => {
  const rows = await database.admin<{ name: string; isHeld: boolean }[]>`
    select relname as name, exists (
      select from pg_policies policy
      where policy.schemaname = 'downbeat' and policy.tablename = relname and policy.permissive = 'PERMISSIVE' and 'downbeat_api' = any (policy.roles)
        and policy.cmd = 'ALL' and policy.qual like '%current_tenant()%' and policy.with_check is not null
    ) as "isHeld"
    from pg_class
    where relnamespace = 'downbeat'::regnamespace and relkind in ('r', 'p') and not relispartition
      and (relname = 'tenants' or exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped))`;
  expect(rows.map(({ name }) => name).sort()).toEqual(["tenants", ...tenantTables].sort());
  expect(rows.filter(({ isHeld }) => !isHeld)).toEqual([]);
});

test("a transaction of the API that names no tenant sees no row of any table", async () => {
  expect(await countVisible()).toEqual(each(0));
});

test("a transaction of the API sees its tenant's rows and nobody else's", async () => {
  expect(await countVisible({ kind: "tenant", tenantId: ours.tenantId })).toEqual(each(1));
});

test("an administrator's transaction sees every tenant's rows", async () => {
  expect(await countVisible({ kind: "platform" })).toEqual(each(2));
});

test("partitions cannot be read past the table they belong to", async () => {
  const [row] = await database.admin`select tableoid::regclass::text as name from downbeat.runs limit 1`;
  for (const role of ["downbeat_api", "downbeat_dispatcher", "downbeat_executor"] as const) {
    await expect(database.connectAs(role, 1).unsafe(`select * from ${row?.["name"]}`)).rejects.toMatchObject({ code: "42501" });
  }
});

test("a tenant's transaction cannot write a row of another tenant, nor reach one by its id", async () => {
  const scope: DataScope = { kind: "tenant", tenantId: ours.tenantId };
  const stolen = tenantTransaction(api, scope, (db) =>
    db
      .insertInto("downbeat.endpoints")
      .values({ tenant_id: theirs.tenantId, name: "ours", base_url: "http://127.0.0.1:9", headers: {} })
      .execute(),
  );
  await expect(stolen).rejects.toThrow("row-level security");
  const changed = await tenantTransaction(api, scope, (db) =>
    db.updateTable("downbeat.schedules").set({ name: "ours now" }).where("id", "=", theirs.scheduleId).executeTakeFirst(),
  );
  expect(changed.numUpdatedRows).toBe(0n);
});

test("a tenant's key cannot make tenants, nor an administrator's key for itself", async () => {
  const scope: DataScope = { kind: "tenant", tenantId: ours.tenantId };
  const tenant = tenantTransaction(api, scope, (db) => db.insertInto("downbeat.tenants").values({ slug: "mine", name: "Mine" }).execute());
  await expect(tenant).rejects.toThrow("row-level security");
  const key = api.begin(async (transaction) => {
    await transaction`select set_config('app.tenant_id', ${ours.tenantId}, true)`;
    await transaction`insert into downbeat.api_keys (id, scope, name, hash) values ('admin', 'admin', 'key', '')`;
  });
  await expect(key).rejects.toThrow("row-level security");
});

test("calendars of the installation are read by every tenant and written by an administrator only", async () => {
  const insert = (scope: DataScope) =>
    tenantTransaction(api, scope, (db) =>
      db.insertInto("downbeat.calendars").values({ tenant_id: null, name: "bank holidays", kind: "blackout", entries: "[]" }).execute(),
    );
  const tenant: DataScope = { kind: "tenant", tenantId: ours.tenantId };
  await expect(insert(tenant)).rejects.toThrow("row-level security");
  await insert({ kind: "platform" });
  const names = await tenantTransaction(api, tenant, (db) => db.selectFrom("downbeat.calendars").select("name").orderBy("name").execute());
  expect(names.map(({ name }) => name)).toEqual(["bank holidays", "holidays"]);
  const changed = await tenantTransaction(api, tenant, (db) =>
    db.updateTable("downbeat.calendars").set({ kind: "allow" }).where("name", "=", "bank holidays").executeTakeFirst(),
  );
  const deleted = await tenantTransaction(api, tenant, (db) =>
    db.deleteFrom("downbeat.calendars").where("name", "=", "bank holidays").executeTakeFirst(),
  );
  expect([changed.numUpdatedRows, deleted.numDeletedRows]).toEqual([0n, 0n]);
  await database.admin`delete from downbeat.calendars where tenant_id is null`;
});

test("a tenant's transaction cannot raise the tenant's own limits, nor end its maintenance", async () => {
  const changed = tenantTransaction(api, { kind: "tenant", tenantId: ours.tenantId }, (db) =>
    db
      .updateTable("downbeat.tenants")
      .set({ runs_per_day_max: 1_000_000, maintenance_until: new Date() })
      .where("id", "=", ours.tenantId)
      .execute(),
  );
  await expect(changed).rejects.toThrow("row-level security");
});

test("a pooled connection carries no tenant over to the next transaction, also after one that failed", async () => {
  const one = database.connectAs("downbeat_api", 1);
  const scope: DataScope = { kind: "tenant", tenantId: ours.tenantId };
  await tenantTransaction(one, scope, (db) => db.selectFrom("downbeat.runs").select("id").execute());
  await tenantTransaction(one, { kind: "platform" }, () => Promise.reject(new Error("no"))).catch(() => {});
  expect(await one`select id from downbeat.runs`).toHaveLength(0);
});

test("text in place of a tenant's id is an error, not everybody's rows", async () => {
  const scope: DataScope = { kind: "tenant", tenantId: "' or true --" };
  await expect(tenantTransaction(api, scope, (db) => db.selectFrom("downbeat.runs").select("id").execute())).rejects.toMatchObject({
    code: "22P02",
  });
});
