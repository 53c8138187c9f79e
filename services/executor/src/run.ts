import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createCaller } from "@downbeat/delivery/call.ts";
import { createNetworkGuard } from "@downbeat/delivery/network-guard.ts";
import { createDnsResolver, resolveAsTheMachine } from "@downbeat/delivery/resolve-host.ts";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { Lifecycle, type RunningService } from "@downbeat/runtime/lifecycle.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { startOperations } from "@downbeat/runtime/operations-server.ts";
import { postgresConnections } from "@downbeat/runtime/postgres-connections.ts";
import { buildInfo, metricsText, processMetrics } from "@downbeat/runtime/process-metrics.ts";
import { systemRandom } from "@downbeat/runtime/random.ts";
import { connect } from "@downbeat/store/connect.ts";
import { Registry } from "@prometheus-io/client";
import type { ExecutorConfig } from "./config.ts";
import { ExecutorMetrics } from "./executor-metrics.ts";
import { Executor } from "./executor.ts";
import { receivingLiveness } from "./receiving-liveness.ts";

/** Leasing, recording twice and the rest: four connections were enough for every load measured. */
const connectionsMax = 4;

/**
 * The executor: receives wake-ups, leases the runs they name, calls their targets and records what came of it.
 *
 * Any number may run side by side. It may be killed at any instant: a run it had leased is swept when the lease is over and called again under the same id; what it had recorded
 * is never repeated.
 */
export async function runExecutor(config: ExecutorConfig, { log }: { log: Log }): Promise<RunningService> {
  const lifecycle = new Lifecycle();
  const executor = `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;

  const registry = new Registry();
  const metrics = new ExecutorMetrics({ registry, clock: systemClock, isByTenant: config.METRICS_TENANT_LABEL });
  const progress = Array.from({ length: config.RECEIVERS }, () => new LoopProgress(systemClock));
  const operations = await startOperations({
    host: config.METRICS_HOST,
    port: config.METRICS_PORT,
    log,
    metrics: () => metricsText(registry),
    liveness: () => receivingLiveness(progress, lifecycle.signal),
    draining: lifecycle.signal,
  });
  lifecycle.onClose("operations", () => operations.close());
  if (operations.url !== undefined) {
    buildInfo(registry, "executor");
    processMetrics(registry);
    postgresConnections(registry, { url: config.DATABASE_URL, connectionsMax });
  }

  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_executor", connectionsMax, applicationName: "downbeat-executor" });
  lifecycle.onClose("postgres", () => sql.end({ timeout: 2 }));

  const queue = createQueueClient({
    region: config.AWS_REGION,
    ...(config.AWS_ENDPOINT_URL === undefined ? {} : { endpoint: config.AWS_ENDPOINT_URL }),
    // Waiting long polls, deletes in flight and visibility changes.
    socketsMax: config.RECEIVERS + 16,
  });
  lifecycle.onClose("queue", () => queue.destroy());

  if (config.ALLOW_PRIVATE_TARGETS) log.warn("ALLOW_PRIVATE_TARGETS is on: runs may call loopback and private addresses");
  const caller = createCaller({
    guard: createNetworkGuard({ allowPrivateTargets: config.ALLOW_PRIVATE_TARGETS }),
    // Development names live in /etc/hosts; tenants' names are public and must not queue for the machine's few resolver threads.
    resolve: config.ALLOW_PRIVATE_TARGETS ? resolveAsTheMachine : createDnsResolver({ clock: systemClock }),
    clock: systemClock,
    connectionsPerOriginMax: config.MAX_CONCURRENT_RUNS,
  });
  lifecycle.onClose("targets", () => caller.close());

  const running = new Executor({
    sql,
    queue,
    caller,
    keyRing: parseKeyRing(config.DOWNBEAT_SECRET_KEYS),
    clock: systemClock,
    random: systemRandom,
    log,
    config,
    metrics,
    progress,
    executor,
  });
  lifecycle.onClose("runs", () => running.drain());
  metrics.watch(() => running.load);
  operations.started();
  return { ended: running.ended, close: () => lifecycle.close(log) };
}
