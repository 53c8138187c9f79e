import type { Tenant } from "./api-answers.ts";
import { formatInstant } from "./format-instant.ts";

/** A tenant's maintenance in a few words, with its end; empty where there is nothing to say any more. */
export function describeMaintenance({ maintenance }: Tenant, now: Date): string {
  if (maintenance === null) return "";
  const { from, until, is_active: isActive } = maintenance;
  const end = until === null ? "until it is ended" : `until ${formatInstant(until)}`;
  if (isActive) return `on, ${end}`;
  return new Date(from) > now ? `planned from ${formatInstant(from)} ${end}` : "";
}

export function tenantPath(tenant: string): string {
  return `/api/v1/tenants/${encodeURIComponent(tenant)}`;
}
