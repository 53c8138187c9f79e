import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DatabaseRole, Sql } from "./connect.ts";
import { dueChannel, listenForDue } from "./listen-for-due.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function settingsOf(sql: Sql): Promise<Record<string, string>> {
  const [row] = await sql`
    select current_user as role, current_setting('application_name') as name, current_setting('statement_timeout') as "statementTimeout",
      current_setting('idle_in_transaction_session_timeout') as "idleTimeout", concat_ws(' ', current_setting('enable_seqscan'), current_setting('enable_hashjoin'), current_setting('enable_mergejoin')) as scans`;
  return { ...row } as Record<string, string>;
}

test.for<DatabaseRole>(["downbeat_dispatcher", "downbeat_executor", "downbeat_api"])(
  "a connection as %s has that role's rights whatever its login, and bounded waits",
  async (role) => {
    const settings = await settingsOf(database.connectAs(role, 1));
    expect(settings).toMatchObject({ role, name: `test-${role}`, statementTimeout: "1min", idleTimeout: "1min" });
  },
);

test("the workers' statements find rows by key at any size of the ledger; the API's are planned by the statistics", async () => {
  const scansOf = async (role: DatabaseRole) => (await settingsOf(database.connectAs(role, 1)))["scans"];
  expect(await scansOf("downbeat_dispatcher")).toBe("off off off");
  expect(await scansOf("downbeat_executor")).toBe("off off off");
  expect(await scansOf("downbeat_api")).toBe("on on on");
});

test("a notification that something became due reaches the dispatcher, from the API's role", async () => {
  const api = database.connectAs("downbeat_api", 1);
  let heard = 0;
  const stop = listenForDue(database.url, () => (heard += 1));
  // When listening begins is not announced, so the API says it until it is heard.
  await until("a notification", async () => {
    await api`select pg_notify(${dueChannel}, '')`;
    return heard > 0;
  });
  expect(await stop()).toBeUndefined();
});

test("listening to a server that is away fails nothing", async () => {
  const stop = listenForDue("postgres://nobody@127.0.0.1:1/none", () => {});
  expect(await stop()).toBeUndefined();
});
