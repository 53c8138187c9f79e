import { type Environment, readConfig } from "@downbeat/runtime/config.ts";
import type * as z from "zod";
import { ApiClient } from "./api-client.ts";
import { clientConfig } from "./config.ts";
import { Failure } from "./failure.ts";
import { readDevState, stateFolder } from "./state-folder.ts";

/** What a command gets from the process it runs in. */
export interface Cli {
  environment: Environment;
  /** A line on standard output: what was asked for. */
  print(line: string): void;
  /** A line on standard error: what is not part of the answer. */
  remark(line: string): void;
}

/** The variables that say *which* installation is meant. One of them set means: not the one of `downbeat dev`. */
const installationKeys = ["DATABASE_URL", "SQS_QUEUE_URL", "AWS_ENDPOINT_URL"] as const;

/** True when the environment names neither database nor queue, and `downbeat dev` has left word of its own. */
export async function usesDevInstallation(cli: Cli): Promise<boolean> {
  return (await devInstallation(cli)) !== undefined;
}

/**
 * Configuration of a command that works on database or queue. When the environment names neither, those of `downbeat dev` are used as a whole: one half
 * of each would join a local queue to a distant database.
 */
export async function readInstallation<Schema extends z.ZodObject>(
  cli: Cli,
  schema: Schema,
  overrides: Environment = {},
): Promise<z.output<Schema>> {
  const dev = await devInstallation(cli);
  if (dev !== undefined) cli.remark("using the database and queue of `downbeat dev`; set DATABASE_URL and SQS_QUEUE_URL for others");
  return readConfig(schema, { ...dev, ...cli.environment, ...overrides });
}

async function devInstallation(cli: Cli): Promise<Environment | undefined> {
  if (installationKeys.some((key) => (cli.environment[key] ?? "") !== "")) return undefined;
  const environment = (await readDevState(stateFolder(cli.environment)))?.environment;
  // A first start that did not get as far as its database has left keys only.
  return environment?.["DATABASE_URL"] === undefined ? undefined : environment;
}

/**
 * The API, key and tenant a command speaks to. The key of `downbeat dev` is used for its own URL and for no other. A tenant of null means none, whatever the environment says: the
 * command concerns the installation.
 */
export async function connectApi(cli: Cli, options: { tenant?: string | null }): Promise<ApiClient> {
  const given = readConfig(clientConfig, cli.environment);
  const dev =
    given.DOWNBEAT_URL !== undefined && given.DOWNBEAT_API_KEY !== undefined ? undefined : await readDevState(stateFolder(cli.environment));
  const devUrl = dev?.environment["DOWNBEAT_URL"];
  const url = given.DOWNBEAT_URL ?? devUrl;
  if (url === undefined) throw new Failure("no API to ask: set DOWNBEAT_URL and DOWNBEAT_API_KEY, or start one with `make dev`");
  const isDevKey = given.DOWNBEAT_API_KEY === undefined && url === devUrl;
  const apiKey = given.DOWNBEAT_API_KEY ?? (isDevKey ? dev?.environment["DOWNBEAT_API_KEY"] : undefined);
  if (apiKey === undefined) throw new Failure(`no key for ${url}: set DOWNBEAT_API_KEY to one that \`downbeat keys create\` printed`);
  const tenant = options.tenant ?? given.DOWNBEAT_TENANT ?? (isDevKey ? dev?.environment["DOWNBEAT_TENANT"] : undefined);
  return new ApiClient({ url, apiKey, ...(tenant === undefined || options.tenant === null ? {} : { tenant }) });
}

export function printJson(cli: Cli, value: unknown): void {
  cli.print(JSON.stringify(value, null, 2));
}
