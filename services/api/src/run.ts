import type { AddressInfo } from "node:net";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { explainListenError } from "@downbeat/runtime/listen-error.ts";
import { Lifecycle, type RunningService } from "@downbeat/runtime/lifecycle.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { startOperations } from "@downbeat/runtime/operations-server.ts";
import { postgresConnections } from "@downbeat/runtime/postgres-connections.ts";
import { buildInfo, processMetrics } from "@downbeat/runtime/process-metrics.ts";
import { connect } from "@downbeat/store/connect.ts";
import { Registry } from "@prometheus-io/client";
import type { ApiConfig } from "./config.ts";
import { createServer } from "./create-server.ts";
import { HttpMetrics } from "./http/http-metrics.ts";
import { installationMetrics } from "./operations/installation-metrics.ts";
import type { QueueToTell } from "./operations/read-queues.ts";
import { version } from "./version.ts";

/** Requests and a scrape at once; more would only wait in Postgres instead of here. */
const connectionsMax = 10;

/**
 * The REST API. It serves from the first moment, also without Postgres: then every request is answered 503, `/health` says why, and it recovers by itself.
 *
 * On close it stops accepting, finishes the requests in flight, then closes the pool.
 */
export async function runApi(config: ApiConfig, { log }: { log: Log }): Promise<RunningService & { url: string }> {
  const lifecycle = new Lifecycle();

  const registry = new Registry();
  const requests = new HttpMetrics(registry);
  // Dials at its first statement, so the port below is the first thing that can be missing.
  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_api", connectionsMax, applicationName: "downbeat-api" });
  const queue = queueToTell(config);
  const scrape = installationMetrics({ sql, queue, registry, log });
  const operations = await startOperations({
    host: config.METRICS_HOST,
    port: config.METRICS_PORT,
    log,
    metrics: scrape,
    // That it answers at all is the proof: there is no loop that could be stuck.
    liveness: () => ({ isAlive: true, reason: "answering" }),
    draining: lifecycle.signal,
  });
  lifecycle.onClose("operations", () => operations.close());
  lifecycle.onClose("queue", () => queue?.client.destroy());
  lifecycle.onClose("postgres", () => sql.end({ timeout: 2 }));
  buildInfo(registry, "api");
  postgresConnections(registry, { url: config.DATABASE_URL, connectionsMax });
  if (operations.url !== undefined) processMetrics(registry);

  const server = await createServer({
    sql,
    keyRing: parseKeyRing(config.DOWNBEAT_SECRET_KEYS),
    allowPrivateTargets: config.ALLOW_PRIVATE_TARGETS,
    defaults: {
      graceSeconds: (config.SCHEDULE_GRACE_PERIOD_MINUTES ?? 24 * 60) * 60,
      intervalSecondsMin: config.TENANT_INTERVAL_SECONDS_MIN,
    },
    version,
    log,
    onAnswered: (...answer) => requests.answered(...answer),
    ...(operations.url === undefined ? { scrape } : {}),
  });
  lifecycle.onClose("http", () => server.close());

  const ended = new Promise<void>((resolve) => lifecycle.signal.addEventListener("abort", () => resolve(), { once: true }));
  try {
    await server.listen({ host: config.API_HOST, port: config.API_PORT });
  } catch (error) {
    await lifecycle.close(log);
    throw explainListenError(error, { host: config.API_HOST, port: config.API_PORT, variable: "API_PORT" });
  }
  const { port } = server.server.address() as AddressInfo;
  const host = config.API_HOST.includes(":") ? `[${config.API_HOST}]` : config.API_HOST;
  const url = `http://${host}:${port}`;
  operations.started();
  log.info({ url, version }, "listening");
  return { ended, url, close: () => lifecycle.close(log) };
}

function queueToTell({ SQS_QUEUE_URL: url, AWS_REGION: region, AWS_ENDPOINT_URL: endpoint }: ApiConfig): QueueToTell | undefined {
  if (url === undefined) return undefined;
  return { url, client: createQueueClient({ region, ...(endpoint === undefined ? {} : { endpoint }), socketsMax: 2 }) };
}
