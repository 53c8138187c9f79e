import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import { connect } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import { openClusterSystem } from "./cluster-system.ts";
import { startLocalSystem } from "./local-system.ts";
import type { System } from "./system.ts";

/**
 * Runs a tool that takes its time on a system, and leaves nothing behind, also when it fails or is interrupted. `act` answers whether every promise was kept; if not, the exit code is 1.
 * The system is the cluster's, or with `DOWNBEAT_E2E=local` one of processes on this machine, to try the tool out.
 */
export async function runTool<Own extends System>(open: () => Promise<Own>, act: (system: Own) => Promise<boolean>): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => reject(new Error("interrupted")));
  });
  let system: Own | undefined;
  try {
    system = await open();
    process.exitCode = (await Promise.race([act(system), interrupted])) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    await system?.close();
  }
  // A tool that was interrupted may still be waiting for something.
  process.exit();
}

export function openToolSystem(): Promise<System> {
  return process.env["DOWNBEAT_E2E"] === "local" ? startOwnSystem() : openClusterSystem();
}

async function startOwnSystem(): Promise<System> {
  const folder = await mkdtemp(join(tmpdir(), "downbeat-e2e-"));
  // The server may run as another user than the one whose temporary folder this is.
  await chmod(folder, 0o755);
  const dataDir = join(folder, "postgres");
  const postgres = await startPostgres({ dataDir, port: 0, isDurable: false });
  const admin = connect({ url: postgres.url, connectionsMax: 2, applicationName: "e2e" });
  await migrate(admin);
  const system = await startLocalSystem({ url: postgres.url, admin });
  return {
    ...system,
    async close() {
      await system.close();
      await admin.end({ timeout: 2 });
      await postgres.stop();
      await removePostgres(dataDir);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A line about how it goes, with the time of day, apart from the result on standard output. */
export function tell(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)}  ${text}\n`);
}

/** For people, and as the last line one JSON object for programs. */
export function printResult(title: string, rows: readonly (readonly [string, string | number])[], result: object): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  process.stdout.write(`${[title, ...lines].join("\n")}\n${JSON.stringify(result)}\n`);
}
