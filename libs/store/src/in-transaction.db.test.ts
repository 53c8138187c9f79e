import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sql } from "./connect.ts";
import { inTransaction } from "./in-transaction.ts";
import { isTransientDatabaseError } from "./transient.ts";

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = database.connectAs("downbeat_api", 2);
  await database.admin`create table public.marks (id int primary key, note text)`;
  await database.admin`grant all on public.marks to downbeat_api`;
});
afterAll(() => database.drop());

it("commits what the body wrote and answers its result; a body that throws leaves nothing", async () => {
  expect(
    await inTransaction(sql, async (transaction) => (await transaction`insert into public.marks values (1) returning id`)[0]?.["id"]),
  ).toBe(1);
  const failing = inTransaction(sql, async (transaction) => {
    await transaction`insert into public.marks values (2)`;
    throw new Error("thought better of it");
  });
  await expect(failing).rejects.toThrow("thought better of it");
  expect((await database.admin`select id from public.marks`).map(({ id }) => id)).toEqual([1]);
});

it("a connection that the server ends in mid-transaction is one rejected promise, and the pool goes on", async () => {
  const pids: number[] = [];
  const broken = inTransaction(sql, async (transaction) => {
    pids.push((await transaction`select pg_backend_pid() as pid`)[0]?.["pid"]);
    await transaction`insert into public.marks values (3)`;
    await transaction`select pg_sleep(60)`;
  });
  broken.catch(() => {});
  for (let isSleeping = false; !isSleeping;) {
    const [row] =
      await database.admin`select count(*)::int as sleeping from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`;
    isSleeping = row?.["sleeping"] > 0;
  }
  await database.admin`select pg_terminate_backend(${pids[0] ?? 0})`;
  await expect(broken).rejects.toThrow(/CONNECTION_CLOSED|terminating connection/);
  const ask = () => Promise.allSettled(Array.from({ length: 6 }, () => inTransaction(sql, (transaction) => transaction`select 1 as one`)));
  // postgres.js hands the ended connection's last error to the first one who dials again: one transient failure, and no more.
  const failures = (await ask()).filter((answer) => answer.status === "rejected");
  expect(failures.length).toBeLessThanOrEqual(1);
  for (const { reason } of failures) expect(isTransientDatabaseError(reason)).toBe(true);
  expect((await ask()).map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => "fulfilled"));
  expect(await database.admin`select 1 from public.marks where id = 3`).toHaveLength(0);
});

it("a deadlock's victim runs again, so that both sides succeed", async () => {
  await database.admin`insert into public.marks values (11, ''), (12, '')`;
  let arrived = 0;
  const bothArrived = Promise.withResolvers<void>();
  const oneDone = Promise.withResolvers<void>();
  let runs = 0;
  const crosswise = async (first: number, second: number, note: string) => {
    let isRepeated = false;
    await inTransaction(sql, async (transaction) => {
      runs += 1;
      // The victim lets the other finish, so that it cannot meet the same deadlock again.
      if (isRepeated) await oneDone.promise;
      isRepeated = true;
      await transaction`update public.marks set note = note || ${note} where id = ${first}`;
      arrived += 1;
      if (arrived === 2) bothArrived.resolve();
      await bothArrived.promise;
      await transaction`update public.marks set note = note || ${note} where id = ${second}`;
    });
    oneDone.resolve();
  };
  await Promise.all([crosswise(11, 12, "a"), crosswise(12, 11, "b")]);
  expect(runs).toBe(3);
  const notes = await database.admin`select note from public.marks where id > 10`;
  for (const { note } of notes) expect([...note].sort().join("")).toBe("ab");
});
