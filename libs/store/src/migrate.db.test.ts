import { randomBytes } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect, type Sql } from "./connect.ts";
import { migrate, type Migration, MigrationError, readMigrations } from "./migrate.ts";

let database: TestDatabase;
const pools: Sql[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
});
/** Each test leaves the schema as it found it: migrated, with nothing that is not in the files. */
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
  await database.admin`drop table if exists downbeat.good, downbeat.half, downbeat.later`;
  await database.admin`delete from downbeat.migrations where name > '9'`;
});
afterAll(() => database.drop());

/** A connection as a deploy makes it. */
function connectToMigrate(url = database.url): Sql {
  const pool = connect({ url, connectionsMax: 1, applicationName: "test-migrate" });
  pools.push(pool);
  return pool;
}

const appliedNames = async () =>
  (await database.admin`select name from downbeat.migrations order by name`).map(({ name }) => name as string);
const exists = async (relation: string) =>
  (await database.admin`select to_regclass(${relation}) is not null as found`)[0]?.["found"] as boolean;
const migration = (name: string, sql: string): Migration => ({ name, sql, checksum: `checksum of ${sql}` });

test("migrating again changes nothing", async () => {
  const before = await database.admin`select name, checksum, applied_at from downbeat.migrations`;
  expect(before).not.toHaveLength(0);
  expect(await migrate(connectToMigrate())).toEqual([]);
  expect(await database.admin`select name, checksum, applied_at from downbeat.migrations`).toEqual(before);
});

test("every file may be applied over itself: a deploy that lost its connection after the commit can start again", async () => {
  await database.admin`delete from downbeat.migrations`;
  expect(await migrate(connectToMigrate())).toEqual((await readMigrations()).map(({ name }) => name));
});

test("of two deploys at once one applies the files and the other waits and finds them applied", async () => {
  await database.admin`drop schema downbeat cascade`;
  const applied = await Promise.all([migrate(connectToMigrate()), migrate(connectToMigrate())]);
  expect(applied.map(({ length }) => length).sort()).toEqual([0, (await readMigrations()).length]);
});

test("before the first file is applied the roles may look into the schema: what starts meanwhile finds it empty, not closed", async () => {
  await database.admin`drop schema downbeat cascade`;
  await migrate(connectToMigrate(), []);
  const may = await database.admin<{ role: string; may: boolean }[]>`
    select role, has_schema_privilege(role, 'downbeat', 'usage') as may
    from unnest(array['downbeat_api', 'downbeat_dispatcher', 'downbeat_executor']) as role`;
  expect(may.map((row) => row.may)).toEqual([true, true, true]);
  await migrate(connectToMigrate());
});

test("a file that was changed after it had been applied is refused, by name", async () => {
  const [first, ...rest] = await readMigrations();
  const changed = [{ ...first, checksum: "another" } as Migration, ...rest, migration("9999_later.sql", "create table downbeat.later ()")];
  const refused = migrate(connectToMigrate(), changed);
  await expect(refused).rejects.toThrow(MigrationError);
  await expect(refused).rejects.toThrow(`${first?.name} was changed after it had been applied`);
  expect(await exists("downbeat.later")).toBe(false);
});

test("a database that a newer program has migrated is refused by an older one, which says what it does not know", async () => {
  await database.admin`insert into downbeat.migrations (name, checksum) values ('9998_tomorrow.sql', 'x')`;
  await expect(migrate(connectToMigrate())).rejects.toThrow("newer than this program: it has 9998_tomorrow.sql");
});

test("a file that fails leaves nothing of itself, keeps the ones before it, stops those after it, and may be mended and applied", async () => {
  const known = await readMigrations();
  const good = migration("9001_good.sql", "create table downbeat.good ();");
  const bad = migration("9002_bad.sql", "create table downbeat.half ();\ninsert into downbeat.good select * from no_such_table;");
  const later = migration("9003_later.sql", "create table downbeat.later ();");
  const sql = connectToMigrate();
  await expect(migrate(sql, [...known, good, bad, later])).rejects.toThrow('9002_bad.sql: relation "no_such_table" does not exist');
  expect(await appliedNames()).toEqual([...known.map(({ name }) => name), "9001_good.sql"]);
  expect([await exists("downbeat.good"), await exists("downbeat.half"), await exists("downbeat.later")]).toEqual([true, false, false]);

  const mended = migration("9002_bad.sql", "create table downbeat.half ();");
  expect(await migrate(sql, [...known, good, mended, later])).toEqual(["9002_bad.sql", "9003_later.sql"]);
});

test("a migration ends with its connection as it was: no role taken on, no lock held", async () => {
  const sql = connectToMigrate();
  await migrate(sql);
  await expect(migrate(sql, [])).rejects.toThrow(MigrationError);
  const [session] = await sql`
    select current_user = session_user as "isItself", (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks`;
  expect(session).toEqual({ isItself: true, locks: 0 });
});

test("everything a migration makes belongs to the migrator, whatever login ran it", async () => {
  const owners = await database.admin`
    select distinct pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'downbeat'::regnamespace`;
  expect(owners).toEqual([{ owner: "downbeat_migrator" }]);
});

/** A login of the server that may do nothing but log in, for as long as `body` runs. */
async function withPlainLogin(body: (login: { name: string; sql: Sql }) => Promise<void>): Promise<void> {
  const name = `downbeat "test" ${randomBytes(4).toString("hex")}`;
  const quoted = `"${name.replaceAll('"', '""')}"`;
  const password = randomBytes(12).toString("hex");
  await database.admin.unsafe(`create role ${quoted} login password '${password}'`);
  try {
    const url = new URL(database.url);
    url.username = encodeURIComponent(name);
    url.password = password;
    await body({ name: quoted, sql: connectToMigrate(url.href) });
  } finally {
    await database.admin.unsafe(`drop owned by ${quoted}`);
    await database.admin.unsafe(`drop role ${quoted}`);
  }
}

/** The lines of the message that are SQL. */
async function statementsOf(refused: Promise<unknown>): Promise<string[]> {
  const error: unknown = await refused.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MigrationError)) throw new Error("expected a MigrationError", { cause: error });
  return error.message
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

test("a login that may not create roles is told the statements an administrator has to run, and with them it migrates", async () => {
  await database.admin`drop schema downbeat cascade`;
  const [row] = await database.admin`select current_database() as name`;
  await database.admin.unsafe(`revoke create on database ${row?.["name"]} from downbeat_migrator`);
  await withPlainLogin(async ({ name, sql }) => {
    const statements = await statementsOf(migrate(sql));
    expect(statements).toEqual([
      `grant downbeat_migrator to ${name};`,
      `grant create on database "${row?.["name"]}" to downbeat_migrator;`,
    ]);
    for (const statement of statements) await database.admin.unsafe(statement);
    expect(await migrate(sql)).toEqual((await readMigrations()).map(({ name: file }) => file));
  });
});

test("a login of the migrator's that meets a database where the migrator may not create is told the one statement that is missing", async () => {
  const [row] = await database.admin`select current_database() as name`;
  await database.admin.unsafe(`revoke create on database ${row?.["name"]} from downbeat_migrator`);
  await withPlainLogin(async ({ name, sql }) => {
    await database.admin.unsafe(`grant downbeat_migrator to ${name}`);
    expect(await statementsOf(migrate(sql))).toEqual([`grant create on database "${row?.["name"]}" to downbeat_migrator;`]);
  });
});
