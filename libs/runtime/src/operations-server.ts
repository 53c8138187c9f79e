import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { explainListenError } from "./listen-error.ts";
import { describeError, type Log } from "./log.ts";
import type { MetricsText } from "./process-metrics.ts";
import { shareInFlight } from "./share-in-flight.ts";

export interface Liveness {
  isAlive: boolean;
  /** For whoever reads the probe's answer: what is alive, or what is stuck for how long. */
  reason: string;
}

export interface OperationsOptions {
  host: string;
  /** Undefined: nothing listens. `0` takes a free port. */
  port: number | undefined;
  log: Log;
  /** Must come to its end by itself, within a few seconds. */
  metrics: () => Promise<MetricsText>;
  /** Whether the process does anything at all; never whether Postgres or the queue is there. */
  liveness: () => Liveness;
  /** Aborts when the drain begins: the process is not ready any more from this instant, while metrics are answered to the end (rule X11). */
  draining: AbortSignal;
}

export interface Operations {
  /** Where it listens; undefined when it does not. */
  readonly url: string | undefined;
  /** The service has started: from now on it is ready, until it drains. */
  started(): void;
  close(): Promise<void>;
}

/** Requests under way may end when the process does; a client that never finishes one must not hold it. */
const closeMsMax = 1_000;

/**
 * What Prometheus and the kubelet ask a process, on a port of its own: `/metrics`, `/livez` and `/readyz`. Probes answer 200 or 503 and a line of text. A request answered at all shows that the event
 * loop turns. Throws when the port is taken.
 */
export async function startOperations(options: OperationsOptions): Promise<Operations> {
  const { host, port, log, draining } = options;
  if (port === undefined) return { url: undefined, started: () => {}, close: async () => {} };
  let isStarted = false;
  const collect = shareInFlight(options.metrics);
  const routes: Record<string, () => Promise<Answer> | Answer> = {
    "/metrics": async () => {
      const { contentType, text } = await collect();
      return { status: 200, contentType, text };
    },
    "/livez": () => {
      const { isAlive, reason } = options.liveness();
      return probe(isAlive, reason);
    },
    "/readyz": () => {
      if (draining.aborted) return probe(false, "draining");
      return isStarted ? probe(true, "ready") : probe(false, "starting");
    },
  };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    void answer(routes, request).then(
      (found) => send(request, response, found),
      (error: unknown) => {
        log.warn({ err: error, path: request.url }, `cannot answer ${request.url}: ${describeError(error)}`);
        send(request, response, { status: 500, text: "cannot be answered, see the log\n" });
      },
    );
  });
  const url = await listen(server, host, port);
  log.info({ url }, "serving metrics and probes");
  return {
    url,
    started: () => {
      isStarted = true;
    },
    close: () => close(server),
  };
}

interface Answer {
  status: number;
  text: string;
  contentType?: string;
  allow?: string;
}

function probe(isGood: boolean, reason: string): Answer {
  return { status: isGood ? 200 : 503, text: `${reason}\n` };
}

async function answer(routes: Record<string, () => Promise<Answer> | Answer>, { method, url = "/" }: IncomingMessage): Promise<Answer> {
  const path = url.split("?", 1)[0] ?? "/";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return { status: 404, text: `not found; there are ${Object.keys(routes).join(", ")}\n` };
  if (method !== "GET" && method !== "HEAD") return { status: 405, text: "GET and HEAD only\n", allow: "GET, HEAD" };
  return route();
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, text, contentType = "text/plain; charset=utf-8", allow }: Answer,
) {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    // What was true a second ago is of no use to a probe.
    "cache-control": "no-store",
    ...(allow === undefined ? {} : { allow }),
  });
  response.end(request.method === "HEAD" ? undefined : text);
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  }).catch((error: unknown) => {
    throw explainListenError(error, { host, port, variable: "METRICS_PORT" });
  });
  const { port: taken } = server.address() as AddressInfo;
  return `http://${host.includes(":") ? `[${host}]` : host}:${taken}`;
}

function close(server: Server): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), closeMsMax);
  return new Promise((resolve) => {
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
