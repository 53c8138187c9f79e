import { type Operations, startOperations } from "@downbeat/runtime/operations-server.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { postgresConnections } from "@downbeat/runtime/postgres-connections.ts";
import { buildInfo, metricsText, processMetrics } from "@downbeat/runtime/process-metrics.ts";
import { Registry } from "@prometheus-io/client";
import type { DispatcherConfig } from "./config.ts";
import { DispatcherMetrics } from "./dispatcher-metrics.ts";
import { passingLiveness } from "./passing-liveness.ts";

export interface ObserveOptions {
  config: DispatcherConfig;
  log: Log;
  progress: LoopProgress;
  draining: AbortSignal;
  /** Of all pools of the process. */
  connectionsMax: number;
}

/** Opens the port for metrics and probes and answers what counts for it. A module of its own, so that a Job, which nobody can scrape, does not spend its start on loading what it has no use for. */
export async function observeDispatcher(options: ObserveOptions): Promise<{ metrics: DispatcherMetrics; operations: Operations }> {
  const { config, log, progress, draining, connectionsMax } = options;
  const registry = new Registry();
  const metrics = new DispatcherMetrics(registry);
  const operations = await startOperations({
    host: config.METRICS_HOST,
    port: config.METRICS_PORT,
    log,
    metrics: () => metricsText(registry),
    liveness: () => passingLiveness(progress, draining),
    draining,
  });
  buildInfo(registry, "dispatcher");
  processMetrics(registry);
  postgresConnections(registry, { url: config.DATABASE_URL, connectionsMax });
  return { metrics, operations };
}
