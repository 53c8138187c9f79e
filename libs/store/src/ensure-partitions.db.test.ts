import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { ensurePartitions, readyPartitions } from "./ensure-partitions.ts";

let database: TestDatabase;
let dispatcher: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  dispatcher = database.connectAs("downbeat_dispatcher");
});
afterAll(() => database.drop());

const dayMs = 86_400_000;

/** Days (`YYYYMMDD`) of the partitions that exist, by parent. */
async function daysOf(parent: string): Promise<string[]> {
  const rows = await database.admin<{ day: string }[]>`
    select right(child.relname, 8) as day from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = ${`downbeat.${parent}`}::regclass order by 1`;
  return rows.map(({ day }) => day);
}

const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10).replaceAll("-", "");
const ensureDay = (sql: Sql, at: number) =>
  sql`select downbeat.ensure_run_partitions(to_timestamp(${at / 1000}::float8), to_timestamp(${at / 1000}::float8)) as made`.then(
    ([row]) => row?.["made"] as number,
  );

test("a day's partitions are three, bounded by the smallest ids of that day and of the next", async () => {
  const day = Date.UTC(2030, 1, 28);
  expect(await ensureDay(dispatcher, day + 12 * 3_600_000)).toBe(1);
  const rows = await database.admin<{ name: string; bounds: string }[]>`
    select relname as name, pg_get_expr(relpartbound, oid) as bounds from pg_class where relname like '%20300228' and relkind = 'r' order by 1`;
  const [from, to] = [day, day + dayMs].map((at) => `${at.toString(16).padStart(12, "0").replace(/^.{8}/, "$&-")}-0000-0000-000000000000`);
  expect(rows).toEqual(
    ["attempts", "run_events", "runs"].map((parent) => ({
      name: `${parent}_20300228`,
      bounds: `FOR VALUES FROM ('${from}') TO ('${to}')`,
    })),
  );
});

const insertUnderAnotherId = (sql: Sql) => sql`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, state, due_at)
    select '11111111-1111-4111-8111-111111111111', (substr(downbeat.first_run_id(now())::text, 1, 24) || substr(md5(random()::text), 1, 12))::uuid,
      '22222222-2222-4222-8222-222222222222', 1, date_trunc('day', now()), 'pending', now()`;

test("the same occurrence cannot have two rows of a day, even under different ids", async () => {
  await insertUnderAnotherId(database.admin);
  await expect(insertUnderAnotherId(database.admin)).rejects.toMatchObject({
    code: "23505",
    constraint_name: expect.stringMatching(/^runs_\d{8}_occurrence_key$/),
  });
});

test("a day that has its partitions costs nothing", async () => {
  const day = Date.UTC(2030, 5, 1);
  expect(await ensureDay(dispatcher, day)).toBe(1);
  expect(await ensureDay(dispatcher, day + dayMs - 1)).toBe(0);
});

test("several who need the same days at once get them, once", async () => {
  const day = Date.UTC(2031, 0, 1);
  const made = await Promise.all(Array.from({ length: 4 }, () => ensureDay(dispatcher, day)));
  expect(made.every((count) => count <= 1)).toBe(true);
  for (const parent of ["runs", "attempts", "run_events"]) expect((await daysOf(parent)).filter((it) => it === "20310101")).toHaveLength(1);
});

test("yesterday and the coming week are kept ready", async () => {
  await readyPartitions(dispatcher);
  const wanted = Array.from({ length: 9 }, (_, index) => dayOf(Date.now() + (index - 1) * dayMs));
  for (const parent of ["runs", "attempts", "run_events"]) expect(await daysOf(parent)).toEqual(expect.arrayContaining(wanted));
});

test("a claim makes the partitions of instants outside of the days that are kept ready, and asks nothing for those inside", async () => {
  const now = Date.now();
  const old = [Date.UTC(2019, 11, 31, 23, 59, 59, 999), Date.UTC(2020, 0, 1), Date.UTC(2020, 0, 1, 12)];
  const before = (await daysOf("runs")).length;
  await dispatcher.begin((transaction) => ensurePartitions(transaction, [now, now - dayMs, now + dayMs, ...old], now));
  expect(await daysOf("runs")).toEqual(expect.arrayContaining(["20191231", "20200101"]));
  expect(await daysOf("runs")).toHaveLength(before + 2);
});

test("a mistake in the dates does not fill the database with partitions", async () => {
  const everyDay = dispatcher`select downbeat.ensure_run_partitions('2000-01-01', '2026-01-01')`;
  await expect(everyDay).rejects.toThrow("refusing to create partitions for 9497 days at once");
});
