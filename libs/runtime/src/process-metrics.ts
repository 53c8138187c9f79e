import { collectDefaultMetrics, Gauge, Registry } from "@prometheus-io/client";
import { version } from "./version.ts";

/** What `/metrics` answers. */
export interface MetricsText {
  contentType: string;
  text: string;
}

export function buildInfo(registry: Registry, role: string): void {
  const labelNames = ["version", "role"];
  new Gauge({ name: "downbeat_build_info", help: "Always 1; the labels tell what runs.", labelNames, registers: [registry] })
    .labels(version, role)
    .set(1);
}

/**
 * The event loop is looked at fifty times a second for its delay, and once a second for its use. The client's own 100 and 10 times took nine thousandths of a core from a process with nothing to do; these take a
 * third of that, and a delay that matters is longer than 20 ms.
 */
const eventLoopTimers = { eventLoopMonitoringPrecision: 20, eventLoopUtilizationTimeout: 1_000 };

/** CPU, memory, garbage collection, file descriptors and the delay of the event loop, as the client measures them. Costs timers, so only where somebody can ask. */
export function processMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, ...eventLoopTimers });
}

export async function metricsText(registry: Registry): Promise<MetricsText> {
  return { contentType: registry.contentType, text: await registry.metrics() };
}
