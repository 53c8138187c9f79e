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

/** CPU, memory, garbage collection, file descriptors and the delay of the event loop, as the client measures them. Costs a timer, so only where somebody can ask. */
export function processMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
}

export async function metricsText(registry: Registry): Promise<MetricsText> {
  return { contentType: registry.contentType, text: await registry.metrics() };
}
