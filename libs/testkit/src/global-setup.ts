import { existsSync, rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { relocatedHome, removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import { connect } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of an administrator on the server's maintenance database. */
    databaseServerUrl: string;
    /** A migrated database nobody is connected to: each test file clones it. */
    templateDatabase: string;
  }
}

/**
 * One Postgres for the whole test run, with one migrated template that test files clone in milliseconds. `DATABASE_URL` names a server to use instead.
 * Returns the teardown; a database, folder or process that stays behind is a failed run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const givenUrl = process.env["DATABASE_URL"];
  const folder = await mkdtemp(join(tmpdir(), "downbeat-test-"));
  // mkdtemp closes the folder to everybody else; the server may run as another user.
  await chmod(folder, 0o755);
  const dataDir = join(folder, "postgres");
  const server =
    givenUrl === undefined || givenUrl === ""
      ? await startPostgres({ dataDir, port: 0, isDurable: false })
      : { url: givenUrl, stop: async () => {}, process: undefined };
  // An interrupted run (Ctrl+C) exits without the teardown, and the server is out of the terminal's reach.
  const leaveNothing = () => {
    // SIGQUIT: Postgres's immediate shutdown. Unlike SIGKILL it gives the shared memory back.
    server.process?.kill("SIGQUIT");
    const places = [dataDir, join(relocatedHome(dataDir), "data")];
    const isRunning = () => places.some((place) => existsSync(join(place, "postmaster.pid")));
    // While the process exits nothing asynchronous runs any more, so this waits in place: at most 5 s, usually a few ms.
    for (let tries = 0; tries < 250 && isRunning(); tries += 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    rmSync(folder, { recursive: true, force: true });
    rmSync(relocatedHome(dataDir), { recursive: true, force: true });
  };
  process.once("exit", leaveNothing);
  const template = `downbeat_template_${process.pid}`;
  const admin = connect({ url: server.url, connectionsMax: 1, applicationName: "test-setup" });
  await admin.unsafe(`create database ${template}`);
  const migrator = connect({ url: databaseUrl(server.url, template), connectionsMax: 1, applicationName: "test-setup" });
  await migrate(migrator);
  await migrator.end();
  project.provide("databaseServerUrl", server.url);
  project.provide("templateDatabase", template);
  return async () => {
    await admin.unsafe(`drop database if exists ${template} with (force)`);
    await admin.end();
    await server.stop();
    await removePostgres(dataDir);
    await rm(folder, { recursive: true, force: true });
    process.off("exit", leaveNothing);
  };
}

/** `url` with its database replaced. */
export function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
