import type { AddressInfo } from "node:net";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { Lifecycle, type RunningService } from "@downbeat/runtime/lifecycle.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { connect } from "@downbeat/store/connect.ts";
import type { ApiConfig } from "./config.ts";
import { createServer } from "./create-server.ts";
import { version } from "./version.ts";

/**
 * The REST API. It serves from the first moment, also without Postgres: then every request is answered 503, `/health` says why, and it recovers by itself.
 *
 * On close it stops accepting, finishes the requests in flight, then closes the pool.
 */
export async function runApi(config: ApiConfig, { log }: { log: Log }): Promise<RunningService & { url: string }> {
  const lifecycle = new Lifecycle();

  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_api", connectionsMax: 10, applicationName: "downbeat-api" });
  lifecycle.onClose("postgres", () => sql.end({ timeout: 2 }));

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
  });
  lifecycle.onClose("http", () => server.close());

  const ended = new Promise<void>((resolve) => lifecycle.signal.addEventListener("abort", () => resolve(), { once: true }));
  try {
    await server.listen({ host: config.API_HOST, port: config.API_PORT });
  } catch (error) {
    await lifecycle.close(log);
    throw explainListenError(error, config);
  }
  const { port } = server.server.address() as AddressInfo;
  const host = config.API_HOST.includes(":") ? `[${config.API_HOST}]` : config.API_HOST;
  const url = `http://${host}:${port}`;
  log.info({ url, version }, "listening");
  return { ended, url, close: () => lifecycle.close(log) };
}

function explainListenError(error: unknown, { API_HOST, API_PORT }: ApiConfig): unknown {
  const { code } = error as { code?: string };
  if (code !== "EADDRINUSE") return error;
  return new Error(`port ${API_PORT} on ${API_HOST} is taken by another process; set API_PORT to a free one`, { cause: error });
}
