import { arrangeEndpoint } from "@downbeat/testkit/arrange.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { inTransaction } from "./in-transaction.ts";
import { lockBudgets, spendBudgets } from "./tenant-budgets.ts";

let database: TestDatabase;
let dispatcher: Sql;
let tenantId: string;
beforeAll(async () => {
  database = await createTestDatabase();
  dispatcher = database.connectAs("downbeat_dispatcher");
});
afterAll(() => database.drop());
beforeEach(async () => {
  ({ tenantId } = await arrangeEndpoint(database.admin, "http://127.0.0.1:9"));
});

const usage = async () => [
  ...(await database.admin`
    select runs, (now() at time zone 'UTC')::date - day as "daysAgo" from downbeat.tenant_usage where tenant_id = ${tenantId} order by day desc`),
];

/** One claim's worth: takes `wanted` runs of what the day has left, and answers how many it got. */
const spend = (wanted: number, limit = 10): Promise<number> =>
  inTransaction(dispatcher, async (sql) => {
    const left = (await lockBudgets(sql, new Map([[tenantId, limit]]))).get(tenantId) ?? Number.NaN;
    const taken = Math.min(wanted, left);
    await spendBudgets(sql, new Map([[tenantId, taken]]));
    return taken;
  });

test("what is spent is counted by day and taken off what is left", async () => {
  expect([await spend(4), await spend(4), await spend(4), await spend(4)]).toEqual([4, 4, 2, 0]);
  expect(await usage()).toEqual([{ runs: 10, daysAgo: 0 }]);
});

test("a limit that was lowered below what is spent leaves nothing, not less", async () => {
  await spend(8);
  expect(await spend(1, 5)).toBe(0);
});

test("yesterday's runs are not today's, and what is older than a month is forgotten", async () => {
  await database.admin`insert into downbeat.tenant_usage (tenant_id, day, runs)
    select ${tenantId}, (now() at time zone 'UTC')::date - ago, 10 from unnest(array[1, 40]) as ago`;
  expect(await spend(3)).toBe(3);
  expect(await usage()).toEqual([
    { runs: 3, daysAgo: 0 },
    { runs: 10, daysAgo: 1 },
  ]);
});

test("dispatchers that claim at once do not spend one budget twice", async () => {
  const taken = await Promise.all(Array.from({ length: 8 }, () => spend(3)));
  expect(taken.reduce((sum, runs) => sum + runs, 0)).toBe(10);
  expect(await usage()).toEqual([{ runs: 10, daysAgo: 0 }]);
});

test("dispatchers that claim for the same tenants in opposite order do not deadlock", async () => {
  const others = await Promise.all([1, 2, 3].map(() => arrangeEndpoint(database.admin, "http://127.0.0.1:9")));
  const ids = [tenantId, ...others.map((other) => other.tenantId)];
  const claim = (order: readonly string[]) =>
    dispatcher.begin(async (sql) => {
      const budgets = await lockBudgets(sql, new Map(order.map((id) => [id, 1_000])));
      await spendBudgets(sql, new Map([...budgets.keys()].map((id) => [id, 1])));
    });
  await Promise.all(Array.from({ length: 20 }, (_, index) => claim(index % 2 === 0 ? ids : ids.toReversed())));
  expect(await usage()).toEqual([{ runs: 20, daysAgo: 0 }]);
});

test("tenants without a limit cost no statement", async () => {
  const never = new Proxy(dispatcher, {
    apply() {
      throw new Error("a statement was sent");
    },
  }) as unknown as Parameters<typeof lockBudgets>[0];
  expect(await lockBudgets(never, new Map())).toEqual(new Map());
  await spendBudgets(never, new Map());
});

test("a claim that fails has spent nothing", async () => {
  const failed = inTransaction(dispatcher, async (sql) => {
    await lockBudgets(sql, new Map([[tenantId, 10]]));
    await spendBudgets(sql, new Map([[tenantId, 7]]));
    throw new Error("the insert failed");
  });
  await expect(failed).rejects.toThrow("the insert failed");
  expect(await usage()).toEqual([]);
});
