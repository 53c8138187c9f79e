import { fileURLToPath } from "node:url";
import { join, resolve } from "node:path";
import { readFile } from "node:fs/promises";
import type { Environment } from "@downbeat/runtime/config.ts";
import * as z from "zod";
import { Failure } from "./failure.ts";

/** The clone this program runs from. */
export const cloneRoot = fileURLToPath(new URL("../../../", import.meta.url));

/** Where `downbeat dev` keeps everything. */
export function stateFolder(environment: Environment): string {
  const given = environment["DOWNBEAT_STATE_DIR"];
  return given === undefined || given === "" ? join(cloneRoot, ".downbeat") : resolve(given);
}

const devStateSchema = z.object({
  /** What a process needs to join this installation, by the names of the variables. Rewritten by each start, because ports may change. */
  environment: z.record(z.string(), z.string()),
  /** Signs the calls to the sample receiver, `whsec_…`. */
  endpointSecret: z.string(),
  /** Which Postgres the key and the demo below are in, as it identifies itself: data that was lost and made anew has neither. */
  database: z.string().optional(),
  /** True once the demo was made: what a user deletes afterwards stays deleted. */
  hasDemo: z.boolean(),
});

export type DevState = z.output<typeof devStateSchema>;

export const devStateFile = (folder: string): string => join(folder, "dev.json");

/** What the last `downbeat dev` wrote; undefined when there was none. */
export async function readDevState(folder: string): Promise<DevState | undefined> {
  const path = devStateFile(folder);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Failure(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}. It belongs to whoever started \`downbeat dev\``, {
      cause: error,
    });
  }
  try {
    return devStateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Failure(`${path} is damaged: remove the state of \`downbeat dev\` with \`make clean-dev\` and start again`, { cause: error });
  }
}
