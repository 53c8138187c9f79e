import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { Sql } from "./connect.ts";

const migrationsFolder = new URL("../migrations/", import.meta.url);

/** Held while migrating, so that two deploys at once apply each file once. The number is arbitrary and must never change. */
const migrationLock = 7_237_401;

const serviceRoles = ["downbeat_api", "downbeat_dispatcher", "downbeat_executor"] as const;

export interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/** Thrown when the schema cannot be brought to this version. Nothing of the failing file was applied. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

/** The migration files in the order in which they apply. */
export async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(migrationsFolder)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, migrationsFolder), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

/**
 * Brings the schema forward: creates the roles where they are missing, then applies each file that was not applied yet, each in its own
 * transaction, all behind one advisory lock. Running it again changes nothing. Returns the names applied now.
 */
export async function migrate(sql: Sql, migrations?: readonly Migration[]): Promise<string[]> {
  const wanted = migrations ?? (await readMigrations());
  const connection = await sql.reserve();
  try {
    await connection`select pg_advisory_lock(${migrationLock})`;
    await ensureRoles(connection);
    // Whatever login runs this, the objects belong to the migrator.
    await connection`set role downbeat_migrator`;
    return await applyMissing(connection, wanted);
  } finally {
    // Also reached when a statement failed: the connection goes back to the pool as it came.
    await connection`reset role`.catch(() => {});
    await connection`select pg_advisory_unlock(${migrationLock})`.catch(() => {});
    connection.release();
  }
}

async function applyMissing(connection: Sql, wanted: readonly Migration[]): Promise<string[]> {
  // With the schema its use, in one transaction: a process that is there first shall find it empty, which it waits out, and not closed, which would be somebody's mistake.
  await connection.unsafe(`
    create schema if not exists downbeat;
    grant usage on schema downbeat to ${serviceRoles.join(", ")};
    create table if not exists downbeat.migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`);
  const rows = await connection<{ name: string; checksum: string }[]>`select name, checksum from downbeat.migrations`;
  const applied = new Map(rows.map((row) => [row.name, row.checksum]));
  const unknown = [...applied.keys()].filter((name) => !wanted.some((migration) => migration.name === name));
  if (unknown.length > 0) {
    throw new MigrationError(`The database is newer than this program: it has ${unknown.join(", ")}. Deploy the version that brought it.`);
  }
  const appliedNow: string[] = [];
  for (const migration of wanted) {
    const checksum = applied.get(migration.name);
    if (checksum === migration.checksum) continue;
    if (checksum !== undefined) {
      throw new MigrationError(
        `${migration.name} was changed after it had been applied. Migrations are forward-only: add a new file instead.`,
      );
    }
    try {
      await connection.unsafe(`begin;\n${migration.sql}\n;`);
      await connection`insert into downbeat.migrations (name, checksum) values (${migration.name}, ${migration.checksum})`;
      await connection`commit`;
    } catch (error) {
      await connection`rollback`;
      throw new MigrationError(`${migration.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    appliedNow.push(migration.name);
  }
  return appliedNow;
}

/**
 * Roles are shared by all databases of a server, so they are made only where missing. A login that may not create roles gets the statements to
 * hand to whoever may.
 */
async function ensureRoles(connection: Sql): Promise<void> {
  const wanted = ["downbeat_migrator", ...serviceRoles];
  const rows = await connection<{ rolname: string }[]>`select rolname from pg_roles where rolname = any(${wanted})`;
  const missing = wanted.filter((role) => !rows.some((row) => row.rolname === role));
  const statements = missing.map((role) => `create role ${role} nologin`);
  const [login] = await connection<{ name: string; is_member: boolean; may_create: boolean; database: string; is_open: boolean }[]>`
    select current_user as name, current_database() as database,
      (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as may_create,
      coalesce((select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = 'downbeat_migrator'), false) as is_member,
      coalesce((select has_database_privilege(oid, current_database(), 'create') from pg_roles where rolname = 'downbeat_migrator'), false) as is_open`;
  if (login === undefined) throw new MigrationError("the server did not answer who is connected");
  if (!login.is_member) statements.push(`grant downbeat_migrator to ${quoteName(login.name)}`);
  // A role that exists on the server may still be new to this database.
  if (!login.is_open) statements.push(`grant create on database ${quoteName(login.database)} to downbeat_migrator`);
  if (statements.length > 0 && !login.may_create) {
    throw new MigrationError(
      `The login "${login.name}" may not create roles. Have an administrator run, once:\n${statements.map((line) => `  ${line};`).join("\n")}`,
    );
  }
  for (const statement of statements) {
    // Roles belong to the server, and the lock to one database: a migration of another database may just have made the same role.
    await connection.unsafe(statement).catch((error: unknown) => {
      if (!roleExistsCodes.has(String((error as { code?: unknown }).code))) throw error;
    });
  }
}

/** duplicate_object, and unique_violation when both were at it in the same instant. */
const roleExistsCodes = new Set(["42710", "23505"]);

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
