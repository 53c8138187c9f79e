import { Counter, Histogram, type Registry } from "@prometheus-io/client";

/** Most requests are a statement or two; a statement is given up after a minute. */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Requests by the route they took, as the router has it (`/api/v1/runs/:id`), so that no id and no name becomes a label. */
export class HttpMetrics {
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #duration: Histogram<"route">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "downbeat_http_requests_total",
      help: "Requests that were answered, probes and scrapes too.",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#duration = new Histogram({
      name: "downbeat_http_request_duration_seconds",
      help: "Time from the arrival of a request to the end of its answer.",
      labelNames: ["route"],
      buckets: durationBounds,
      registers,
    });
  }

  answered(route: string, method: string, status: number, durationMs: number): void {
    this.#requests.inc({ route, method, status });
    this.#duration.observe({ route }, durationMs / 1_000);
  }
}
