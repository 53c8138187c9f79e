import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, freePort, removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import { databaseUrl } from "@downbeat/testkit/global-setup.ts";
import { noSessionsOf } from "./world.ts";

/** A Postgres that a test may take down, on one port for its whole life, crash-safe as in production. */
export interface OwnPostgres {
  /** Starts the server again after `kill`. */
  start(): Promise<void>;
  /** `kill -9` of the server. */
  kill(): Promise<void>;
  /** A migrated database of its own for one test. */
  createDatabase(name: string): Promise<OwnDatabase>;
  /** Stops the server and removes what it kept on disk. */
  remove(): Promise<void>;
}

export interface OwnDatabase {
  url: string;
  admin: Sql;
  /** Locks a table in a session of its own, so that whoever wants to write it waits, until the server goes down. */
  holdTable(table: string): Promise<void>;
  close(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "downbeat-fault-"));
  // mkdtemp closes the folder to everybody else; the server may run as another user.
  await chmod(folder, 0o755);
  // Commits reach the operating system before they are answered, which a `kill -9` of the server cannot undo. Flushing to the disk guards against the machine's own crash,
  // which no test causes, and would make each start wait until every file is flushed.
  const options = { dataDir: join(folder, "postgres"), port: await freePort(), isDurable: true, settings: { fsync: "off" } };
  let server: EmbeddedPostgres = await startPostgres(options);
  let isUp = true;
  const { url } = server;
  const template = connect({ url: databaseUrl(url, "template1"), connectionsMax: 1, applicationName: "test-setup" });
  await migrate(template);
  await template.end();

  const start = async () => {
    server = await startPostgres(options);
    isUp = true;
  };
  return {
    start,
    async kill() {
      isUp = false;
      await server.kill();
    },
    async createDatabase(name) {
      // A test that failed may have left the server down.
      if (!isUp) await start();
      const maintenance = connect({ url, connectionsMax: 1, applicationName: "test-setup" });
      await maintenance.unsafe(`create database ${name}`);
      await maintenance.end();
      const own = databaseUrl(url, name);
      const admin = connect({ url: own, connectionsMax: 2, applicationName: "test-admin" });
      const holders: Sql[] = [];
      return {
        url: own,
        admin,
        async holdTable(table) {
          const holder = connect({ url: own, connectionsMax: 1, applicationName: "test-holder" });
          holders.push(holder);
          await holder.unsafe(`begin; lock table ${table} in exclusive mode`);
        },
        async close() {
          if (isUp) await noSessionsOf(admin, "downbeat-%");
          await Promise.all([admin, ...holders].map((sql) => sql.end({ timeout: 1 })));
        },
      };
    },
    async remove() {
      if (isUp) await server.stop();
      await removePostgres(options.dataDir);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
