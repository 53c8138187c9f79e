import { checkTargetUrl, joinTargetPath } from "@downbeat/delivery/target-url.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { isUuid } from "../http/field-types.ts";
import type { FieldError } from "../http/problem.ts";
import type { NewSchedule } from "./schedule-schemas.ts";

export interface FindTargetOptions {
  tenantId: string;
  allowPrivateTargets: boolean;
}

/** The endpoint, and whether the target can be called on it. Somebody else's endpoint is one that does not exist. */
export async function findTarget(
  database: TenantDatabase,
  { endpoint: idOrName, target }: Pick<NewSchedule, "endpoint" | "target">,
  { tenantId, allowPrivateTargets }: FindTargetOptions,
): Promise<{ errors: FieldError[]; endpointId?: string }> {
  const endpoint = await database
    .selectFrom("downbeat.endpoints")
    .select(["id", "base_url", "compat_signatures"])
    .where("tenant_id", "=", tenantId)
    .where(isUuid(idOrName) ? "id" : "name", "=", idOrName)
    .executeTakeFirst();
  if (endpoint === undefined)
    return { errors: [{ field: "endpoint", message: "is not the id or name of an endpoint of this tenant", value: idOrName }] };
  const base = checkTargetUrl(endpoint.base_url, { allowPrivateTargets });
  const joined = base.ok ? joinTargetPath(base.url, target.path) : base;
  const errors: FieldError[] = [];
  if (!base.ok)
    errors.push({ field: "endpoint", message: `has a base URL that may no longer be called: it ${base.message}`, value: idOrName });
  else if (!joined.ok)
    errors.push({
      field: "target.path",
      message: `makes a URL that may not be called: ${joined.message}`,
      value: target.path.slice(0, 200),
    });
  if (endpoint.compat_signatures && target.method === "GET") {
    errors.push({ field: "target.method", message: "must not be GET: the endpoint's compat signatures need a request body", value: "GET" });
  }
  return { errors, endpointId: endpoint.id };
}
