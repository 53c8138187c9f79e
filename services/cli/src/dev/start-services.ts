import { apiConfig } from "@downbeat/api/config.ts";
import { runApi } from "@downbeat/api/run.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { runDispatcher } from "@downbeat/dispatcher/run.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { type Environment, readConfig } from "@downbeat/runtime/config.ts";
import type { Lifecycle, RunningService } from "@downbeat/runtime/lifecycle.ts";
import { createLog, describeError } from "@downbeat/runtime/log.ts";
import { Failure } from "../failure.ts";
import type { DevLog } from "./dev-log.ts";

export interface ServiceOptions {
  /** What the services read their configuration from. */
  environment: Environment;
  logLevel: string;
  devLog: DevLog;
  lifecycle: Lifecycle;
  /** Called when a service ends although nobody asked it to. */
  onFailure(failure: Failure): void;
}

/** Starts the API in this process and answers its URL. */
export async function startApi(options: ServiceOptions): Promise<string> {
  const api = await runApi(readConfig(apiConfig, options.environment), { log: logOf("api", options) });
  watch("API", api, options);
  return api.url;
}

/** Starts dispatcher and executor in this process, as their own processes would run. */
export async function startWorkers(options: ServiceOptions): Promise<void> {
  watch(
    "dispatcher",
    await runDispatcher(readConfig(dispatcherConfig, options.environment), { log: logOf("dispatcher", options) }),
    options,
  );
  watch("executor", await runExecutor(readConfig(executorConfig, options.environment), { log: logOf("executor", options) }), options);
}

function logOf(role: string, { logLevel, devLog }: ServiceOptions) {
  return createLog(role, logLevel, devLog);
}

function watch(name: string, service: RunningService, { lifecycle, onFailure }: ServiceOptions): void {
  lifecycle.onClose(name, () => service.close());
  void reportEnd(name, service, (failure) => {
    if (!lifecycle.signal.aborted) onFailure(failure);
  });
}

async function reportEnd(name: string, { ended }: RunningService, report: (failure: Failure) => void): Promise<void> {
  try {
    await ended;
    report(new Failure(`the ${name} ended by itself`));
  } catch (error) {
    report(new Failure(`the ${name} failed: ${describeError(error)}`, { cause: error }));
  }
}
