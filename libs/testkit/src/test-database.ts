import { randomBytes } from "node:crypto";
import { connect, type DatabaseRole, type Sql } from "@downbeat/store/connect.ts";
import { inject } from "vitest";
import { databaseUrl } from "./global-setup.ts";

export interface TestDatabase {
  /** URL of an administrator on this database. Service processes under test connect with it and take on their role. */
  readonly url: string;
  /** An administrator's connection, which row-level security does not hold: for arranging and for looking. */
  readonly admin: Sql;
  /** A pool that can do what the given process can do. Closed with the database. */
  connectAs(role: DatabaseRole, connectionsMax?: number): Sql;
  /** Ends every session and drops the database. Fails when a pool of the code under test was left open. */
  drop(): Promise<void>;
}

/** A database of its own for a test file, cloned from the migrated template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = inject("databaseServerUrl");
  const name = `downbeat_test_${randomBytes(6).toString("hex")}`;
  const server = connect({ url: serverUrl, connectionsMax: 1, applicationName: "test-database" });
  await server.unsafe(`create database ${name} template ${inject("templateDatabase")}`);
  const url = databaseUrl(serverUrl, name);
  const admin = connect({ url, connectionsMax: 4, applicationName: "test-admin" });
  const pools: Sql[] = [];
  return {
    url,
    admin,
    connectAs(role, connectionsMax = 4) {
      const pool = connect({ url, role, connectionsMax, applicationName: `test-${role}` });
      pools.push(pool);
      return pool;
    },
    async drop() {
      await Promise.all([...pools, admin].map((pool) => pool.end({ timeout: 5 })));
      await server.unsafe(`drop database ${name} with (force)`);
      await server.end();
    },
  };
}
