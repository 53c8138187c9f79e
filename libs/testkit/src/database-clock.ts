import type { TestDatabase } from "./test-database.ts";

/** The clock of a test database, which stands still until a test moves it. Milliseconds since 1970. */
export interface DatabaseClock {
  set(at: number): Promise<void>;
}

/**
 * Puts a database under a clock of its own. Postgres looks unqualified functions up along the search path, and looks into `pg_catalog` first only where the path does not name it: sessions
 * opened after this find `test_clock.now()` where the statements under test say `now()`. Nothing of the code under test knows. Defaults of columns stay on the real clock, because
 * they were resolved when the tables were made.
 */
export async function useManualDatabaseClock({ admin }: TestDatabase, at: number): Promise<DatabaseClock> {
  await admin.unsafe(`
    create schema test_clock;
    create table test_clock.time (at timestamptz not null);
    insert into test_clock.time values (to_timestamp(${at / 1_000}));
    create function test_clock.now() returns timestamptz language sql stable as 'select at from test_clock.time';
    create function test_clock.clock_timestamp() returns timestamptz language sql stable as 'select at from test_clock.time';
    grant usage on schema test_clock to public;
    grant select on test_clock.time to public`);
  const [row] = await admin<{ name: string }[]>`select current_database() as name`;
  await admin.unsafe(`alter database ${row?.name} set search_path = test_clock, pg_catalog, public`);
  return {
    async set(next) {
      await admin`update test_clock.time set at = to_timestamp(${next / 1_000}::float8)`;
    },
  };
}
