import type { Environment } from "@downbeat/runtime/config.ts";
import type { Lifecycle } from "@downbeat/runtime/lifecycle.ts";
import type { Failure } from "../failure.ts";
import { ApiClient } from "../api-client.ts";
import type { DevConfig } from "../config.ts";
import type { DevLog } from "./dev-log.ts";
import { loadDevState, saveDevState } from "./dev-state.ts";
import { demoTenant, makeDemo, pointEndpointAt } from "./make-demo.ts";
import { prepareAccess } from "./prepare-access.ts";
import { startSampleReceiver } from "./sample-receiver.ts";
import { startApi, startWorkers } from "./start-services.ts";
import { type Database, startDatabase, startQueue } from "./start-storage.ts";

export interface StartOptions {
  config: DevConfig;
  folder: string;
  environment: Environment;
  lifecycle: Lifecycle;
  /** Aborts when the user has asked for the end. */
  stopping: AbortSignal;
  devLog: DevLog;
  print(line: string): void;
  /** Called when a part ends although nobody asked it to. */
  onFailure(failure: Failure): void;
  /** Called as soon as there is a server whose process must not stay behind. */
  onPostgres(postgres: Database["postgres"]): void;
}

/** What is running, for the line that says so. */
export interface DevInstallation {
  apiUrl: string;
  apiKey: string;
  databaseUrl: string;
  sqsUrl: string;
  receiverUrl: string;
}

const region = "us-east-1";

/**
 * Brings everything up in the order in which one part needs another; each part's end is registered with `lifecycle` as soon as it runs. What others need to
 * join (`downbeat runs list`, a second executor) is written to `dev.json` before the demo starts to fire.
 */
export async function startDev(options: StartOptions): Promise<DevInstallation> {
  const { config, folder, lifecycle, stopping, devLog, print, onFailure } = options;
  const kept = await loadDevState(folder);
  print(kept.database === undefined ? "setting up Postgres (once)" : "starting Postgres");
  const database = await startDatabase(config, { folder, lifecycle });
  options.onPostgres(database.postgres);
  stopping.throwIfAborted();

  print("starting the queue and the services");
  const queue = await startQueue(config, { folder, lifecycle, region });
  stopping.throwIfAborted();

  const state = await prepareAccess(kept, database);
  const installation = {
    ...state.environment,
    DATABASE_URL: database.url,
    SQS_QUEUE_URL: queue.queueUrl,
    AWS_ENDPOINT_URL: queue.endpoint,
    AWS_REGION: region,
    ALLOW_PRIVATE_TARGETS: "true",
    DOWNBEAT_API_KEY: state.apiKey,
    DOWNBEAT_TENANT: demoTenant,
  };
  const services = {
    // Whatever else is set (MAX_CONCURRENT_RUNS, HORIZON_SECONDS) counts here as it counts for the services' own processes.
    environment: {
      ...options.environment,
      ...installation,
      API_HOST: "127.0.0.1",
      API_PORT: String(config.DOWNBEAT_API_PORT),
      DISPATCH_FOR_SECONDS: "forever",
      // Three services in one process cannot share a port; the API tells its metrics on its own.
      METRICS_PORT: "",
      // Ctrl+C must not wait for slow targets: what is cut off is delivered after the next start.
      DRAIN_SECONDS: "2",
    },
    logLevel: config.LOG_LEVEL,
    devLog,
    lifecycle,
    onFailure,
  };
  const apiUrl = await startApi(services);
  stopping.throwIfAborted();

  const { apiKey, hasDemo, ...rest } = state;
  const environment = { ...installation, DOWNBEAT_URL: apiUrl };
  await saveDevState(folder, { ...rest, environment, hasDemo });

  const receiver = await startSampleReceiver({
    port: config.DOWNBEAT_RECEIVER_PORT,
    secret: state.endpointSecret,
    nameOf: scheduleNames(new ApiClient({ url: apiUrl, apiKey })),
    print,
  });
  lifecycle.onClose("sample receiver", () => receiver.close());
  if (!hasDemo) {
    await makeDemo({ apiUrl, apiKey, receiverUrl: receiver.url, endpointSecret: state.endpointSecret });
    await saveDevState(folder, { ...rest, environment, hasDemo: true });
  }
  await pointEndpointAt(receiver.url, database.admin);
  stopping.throwIfAborted();

  await startWorkers(services);
  return { apiUrl, apiKey, databaseUrl: database.url, sqsUrl: queue.endpoint, receiverUrl: receiver.url };
}

/** Names of schedules by id, each asked for once. */
function scheduleNames(api: ApiClient): (id: string) => Promise<string | undefined> {
  const names = new Map<string, Promise<string | undefined>>();
  return (id) => {
    const known = names.get(id);
    if (known !== undefined) return known;
    const asked = api.get<{ name?: string }>(`/api/v1/schedules/${encodeURIComponent(id)}`).then(({ name }) => name);
    names.set(id, asked);
    // A failure is not an answer to remember.
    asked.catch(() => names.delete(id));
    return asked;
  };
}
