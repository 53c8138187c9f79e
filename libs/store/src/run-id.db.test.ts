import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runId } from "./run-id.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("the database's smallest id of an instant is not above the ids of that millisecond, and above those of every earlier one", async () => {
  const edges = [0, 1, 999, Date.UTC(2026, 1, 28, 23, 59, 59, 999), Date.UTC(2026, 2, 1), Date.UTC(2400, 0, 1)];
  const instants = [...edges, ...Array.from({ length: 200 }, (_, index) => Math.floor((index * 2 ** 43) / 200))];
  const rows = await database.admin<{ id: string; isInside: boolean }[]>`
    select id, downbeat.first_run_id(instant) <= id and id < downbeat.first_run_id(instant + interval '1 millisecond') as "isInside"
    from (
      select id, to_timestamp(at / 1000) as instant
      from unnest(${instants.map((at) => runId(randomUUID(), at))}::uuid[], ${instants}::float8[]) as given (id, at)
    ) as given`;
  expect(rows).toHaveLength(instants.length);
  expect(rows.filter(({ isInside }) => !isInside)).toEqual([]);
});

test("a run lies in the partition of the day it is scheduled for, up to the last millisecond of it", async () => {
  const day = Date.UTC(2031, 2, 3);
  await database.admin`select downbeat.ensure_run_partitions(to_timestamp(${day / 1000}::float8), to_timestamp(${day / 1000 + 86_400}::float8))`;
  const instants = [day, day + 86_399_999, day + 86_400_000];
  const rows = await database.admin<{ partition: string }[]>`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, state, due_at)
    select gen_random_uuid(), id, gen_random_uuid(), 1, to_timestamp(at / 1000), 'pending', to_timestamp(at / 1000)
    from unnest(${instants.map((at) => runId(randomUUID(), at))}::uuid[], ${instants}::float8[]) as given (id, at)
    returning tableoid::regclass::text as partition`;
  expect(rows.map(({ partition }) => partition)).toEqual(["downbeat.runs_20310303", "downbeat.runs_20310303", "downbeat.runs_20310304"]);
});
