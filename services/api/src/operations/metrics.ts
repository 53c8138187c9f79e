import type { MetricsText } from "@downbeat/runtime/process-metrics.ts";
import type { Api } from "../api.ts";

/**
 * Metrics in Prometheus's text format, at the root and not under `/api`, where scrapers look; only where no port of their own is given (`METRICS_PORT`). Needs no key, as `/health`: there is nothing
 * of any tenant in it.
 */
export function metricsRoute(api: Api, scrape: () => Promise<MetricsText>): void {
  api.route({
    method: "GET",
    url: "/metrics",
    schema: { hide: true },
    handler: async (_request, reply) => {
      const { contentType, text } = await scrape();
      return reply.type(contentType).send(text);
    },
  });
}
