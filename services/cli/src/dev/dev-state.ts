import { randomBytes } from "node:crypto";
import { access, chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { type DevState, devStateFile, readDevState } from "../state-folder.ts";

/** Where Postgres keeps its data; the server may run as another user than this process, so the folders above it are open to be passed through. */
export const postgresFolder = (folder: string): string => join(folder, "postgres");
export const queueFolder = (folder: string): string => join(folder, "sqs");

export async function makeStateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  } catch (error) {
    throw new Failure(
      `cannot use ${folder} for the state of \`downbeat dev\`: ${(error as Error).message}. DOWNBEAT_STATE_DIR names another`,
      { cause: error },
    );
  }
}

/**
 * The state of the last start, or a new one with fresh secrets; on disk before anything is sealed with them.
 */
export async function loadDevState(folder: string): Promise<DevState> {
  const kept = await readDevState(folder);
  if (kept !== undefined) return kept;
  if (await exists(join(postgresFolder(folder), "PG_VERSION"))) {
    // Endpoint secrets in that database are sealed with keys nobody has any more.
    throw new Failure(`${devStateFile(folder)} is missing, but the data it belongs to is there: start afresh with \`make clean-dev\``);
  }
  const fresh: DevState = {
    environment: { DOWNBEAT_SECRET_KEYS: `dev:${randomBytes(32).toString("base64")}` },
    endpointSecret: `whsec_${randomBytes(32).toString("base64")}`,
    hasDemo: false,
  };
  await saveDevState(folder, fresh);
  return fresh;
}

/** Replaces the file as a whole, so that a killed process leaves the old one or the new one. It holds keys: only its owner may read it. */
export async function saveDevState(folder: string, state: DevState): Promise<void> {
  const path = devStateFile(folder);
  await writeFile(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
