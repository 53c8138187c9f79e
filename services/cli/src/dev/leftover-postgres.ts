import { readFileSync } from "node:fs";
import { join } from "node:path";
import { relocatedHome } from "@downbeat/embedded/postgres.ts";

export interface LeftoverPostgres {
  pid: number;
  port: number;
}

/**
 * The Postgres that runs on this data, if one does: after a `kill -9` of its `downbeat dev`, it still does. Postgres says so itself in its `postmaster.pid`: the process on
 * the first line, the port on the fourth. Reads synchronously, because it is also asked while the process exits.
 */
export function leftoverPostgres(dataDir: string): LeftoverPostgres | undefined {
  for (const folder of [dataDir, join(relocatedHome(dataDir), "data")]) {
    const [pid = Number.NaN, , , port = Number.NaN] = readIfThere(join(folder, "postmaster.pid")).split("\n").map(Number);
    if (pid > 0 && port > 0 && isAlive(pid)) return { pid, port };
  }
  return undefined;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
