import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface DevLock {
  release(): void;
}

/**
 * Makes this process the only `downbeat dev` of a state folder; undefined when another one is. The lock is the operating system's, held through SQLite's
 * file locking, so that it is gone with its process however that ended: a number in a file would outlive a `kill -9`, and may meanwhile be somebody else's.
 */
export function takeLock(folder: string): DevLock | undefined {
  const database = new DatabaseSync(join(folder, "lock"), { timeout: 0 });
  try {
    database.exec("begin exclusive");
  } catch (error) {
    database.close();
    if (/locked|busy/i.test((error as Error).message)) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}
