import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import type { Sql } from "./connect.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

let database: TestDatabase;
let executor: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  executor = database.connectAs("downbeat_executor");
});
afterAll(() => database.drop());

test("arrays arrive as they were given: quotes, backslashes, braces, commas, nulls, the empty text and the empty array", async () => {
  const texts = ['"', "\\", "{}", "a,b", "", "NULL", "null", "a b", "ä\n\t", '\\"'];
  const rows = await executor<{ text: string | null }[]>`
    select * from unnest(${[...texts, null]}::text[]) with ordinality as given (text, position) order by position`;
  expect(rows.map(({ text }) => text)).toEqual([...texts, null]);
  expect(await executor`select * from unnest(${[]}::uuid[])`).toHaveLength(0);
});

test("numbers, ids and truth values keep their types and values", async () => {
  const [row] = await executor<Record<string, unknown>[]>`
    select (select sum(n) from unnest(${[1, 2.5, null]}::float8[]) as n) as sum, (select max(n) from unnest(${[1, -3]}::smallint[]) as n) as max,
      (select id from unnest(${["0b5c3b1e-8a7e-4d0e-9a56-0c5a2a0f6a11"]}::uuid[]) as id) as id,
      (select min(at) from unnest(${["2026-03-08T07:00:00Z"]}::timestamptz[]) as at) as at`;
  expect(row).toEqual({ sum: 3.5, max: 1, id: "0b5c3b1e-8a7e-4d0e-9a56-0c5a2a0f6a11", at: new Date("2026-03-08T07:00:00Z") });
});
