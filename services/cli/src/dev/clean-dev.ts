import { access, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import type { Cli } from "../cli.ts";
import { Failure } from "../failure.ts";
import { stateFolder } from "../state-folder.ts";
import { postgresFolder } from "./dev-state.ts";
import { leftoverPostgres } from "./leftover-postgres.ts";
import { takeLock } from "./lock.ts";

/** All that `downbeat dev` makes besides Postgres's data. By name, because DOWNBEAT_STATE_DIR may be a folder that holds other things as well. */
const made = ["sqs", "dev.json", "dev.json.new", "dev.log", "dev.log.1", "lock", "lock-journal"];

/** Removes everything `downbeat dev` keeps between starts. */
export async function cleanDev(cli: Cli): Promise<void> {
  const folder = stateFolder(cli.environment);
  const dataDir = postgresFolder(folder);
  if (!(await exists(folder))) return cli.print(`nothing to remove: there is no ${folder}`);
  const lock = takeLock(folder);
  if (lock === undefined) throw new Failure(`\`downbeat dev\` is running on ${folder}: stop it first, with Ctrl+C in its terminal`);
  try {
    // Starting on the data ends whoever else still runs on it, as it does after every `kill -9`.
    if (leftoverPostgres(dataDir) !== undefined) await (await startPostgres({ dataDir, port: 0, isDurable: false })).stop();
    await removePostgres(dataDir);
  } finally {
    lock.release();
  }
  for (const name of made) await rm(join(folder, name), { recursive: true, force: true });
  const isEmpty = await rmdir(folder).then(
    () => true,
    () => false,
  );
  cli.print(isEmpty ? `removed ${folder}` : `removed the state of \`downbeat dev\` from ${folder}; what else is there stays`);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
