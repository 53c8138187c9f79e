import { Gauge, Registry } from "@prometheus-io/client";
import type { Api, ApiParts } from "../api.ts";
import { type LastAudit, readLastAudit } from "./read-audits.ts";

/**
 * Metrics in Prometheus's text format, at the root and not under `/api`, where scrapers look. Needs no key, as `/health`: there is nothing of any tenant in it. Read from the database at each
 * scrape, so every API process answers the same; without Postgres a scrape fails as every request does.
 */
export function metricsRoute(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/metrics",
    schema: { hide: true },
    handler: async (_request, reply) => {
      const { contentType, text } = await auditMetrics(await readLastAudit(sql));
      return reply.type(contentType).send(text);
    },
  });
}

/** Promise 1 as numbers: what the last finished audit found. Before the first one there are none, because a zero would say that all is well. */
async function auditMetrics(audit: LastAudit | undefined): Promise<{ contentType: string; text: string }> {
  const registry = new Registry();
  const gauge = (name: string, help: string, value: number) => new Gauge({ name, help, registers: [registry] }).set(value);
  if (audit !== undefined) {
    gauge(
      "downbeat_audit_difference_occurrences",
      "Occurrences without a row in the ledger, and rows without an occurrence, in the last finished audit. Must be 0.",
      audit.lost + audit.unexpected,
    );
    gauge("downbeat_audit_age_seconds", "Time since the last audit finished.", audit.ageSeconds);
    gauge("downbeat_audit_expected_occurrences", "Occurrences that the last finished audit looked for in the ledger.", audit.expected);
    gauge("downbeat_audit_schedules", "Schedules that the last finished audit compared.", audit.schedules);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}
