import type { Sql } from "@downbeat/store/connect.ts";
import { type DataScope, type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import type { FastifyRequest } from "fastify";
import { sql as fragment } from "kysely";
import { apiKeyId, isApiKey } from "./api-keys.ts";
import { isUuid } from "./field-types.ts";
import { Problem } from "./problem.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by `authenticate` on every route that needs a key. */
    caller: Caller;
  }
}

export interface TenantIdentity {
  id: string;
  slug: string;
}

/** Who is asking, and for whom. */
export interface Caller {
  keyId: string;
  scope: "admin" | "tenant" | "read";
  /** The key's tenant, or the one an administrator named in `X-Tenant`. Null: an administrator speaks for the platform. */
  tenant: TenantIdentity | null;
}

/** How stale `last_used_at` may be: a write for each request would be one row's worth of contention for nothing. */
const lastUsedStaleness = "1 minute";

/**
 * Reads the bearer key and `X-Tenant`. Missing, malformed, unknown, wrong, revoked and expired keys are all 401; a tenant that does not exist and one that is somebody else's
 * are the same 404; writing with a read-only key is 403.
 */
export async function authenticate(sql: Sql, request: FastifyRequest): Promise<Caller> {
  const key = bearerOf(request.headers.authorization);
  const named = request.headers["x-tenant"];
  const caller = await tenantTransaction(sql, { kind: "platform" }, async (database) => {
    const { tenant, ...identity } = await findKey(database, key);
    if (named === undefined) return { ...identity, tenant };
    return { ...identity, tenant: await findTenant(database, String(named), tenant) };
  });
  if (caller.scope === "read" && request.method !== "GET" && request.method !== "HEAD") {
    throw new Problem("forbidden", { detail: "This API key may only read." });
  }
  return caller;
}

/** The tenant a write is for. An administrator must have named it. */
export function tenantOf({ tenant }: Caller): TenantIdentity {
  if (tenant !== null) return tenant;
  throw new Problem("tenant_required", {
    errors: [{ field: "X-Tenant", message: "is missing: an administrator's key must name the tenant in this header, by slug or id" }],
  });
}

/** The rows a request may see. */
export function scopeOf({ tenant }: Caller): DataScope {
  return tenant === null ? { kind: "platform" } : { kind: "tenant", tenantId: tenant.id };
}

function bearerOf(header: string | undefined): string {
  if (header === undefined) throw unauthorized("Send the API key as `Authorization: Bearer sk_…`.", 'Bearer realm="downbeat"');
  const [, key] = /^Bearer +(\S+) *$/i.exec(header) ?? [];
  if (key === undefined) throw unauthorized("The Authorization header must read `Bearer sk_…`.");
  return key;
}

async function findKey(database: TenantDatabase, key: string): Promise<Caller> {
  const row = await database
    .selectFrom("downbeat.api_keys as key")
    .leftJoin("downbeat.tenants as tenant", "tenant.id", "key.tenant_id")
    .select(["key.id", "key.scope", "key.hash", "key.tenant_id", "tenant.slug"])
    .select(fragment<boolean>`key.revoked_at is not null`.as("is_revoked"))
    .select(fragment<boolean>`coalesce(key.expires_at <= now(), false)`.as("is_expired"))
    .select(fragment<boolean>`coalesce(key.last_used_at < now() - ${lastUsedStaleness}::interval, true)`.as("is_use_unnoted"))
    .where("key.id", "=", apiKeyId(key) ?? "")
    .executeTakeFirst();
  if (!isApiKey(key, row?.hash) || row === undefined) throw unauthorized("The API key is not known.");
  if (row.is_revoked) throw unauthorized("The API key has been revoked.");
  if (row.is_expired) throw unauthorized("The API key has expired.");
  if (row.is_use_unnoted)
    await database
      .updateTable("downbeat.api_keys")
      .set({ last_used_at: fragment`now()` })
      .where("id", "=", row.id)
      .execute();
  const tenant = row.tenant_id === null || row.slug === null ? null : { id: row.tenant_id, slug: row.slug };
  // The schema says so too; but a key that lost its tenant must never become one for all tenants.
  if ((row.scope === "admin") !== (tenant === null)) throw new Error(`API key ${row.id} of scope ${row.scope} does not fit its tenant`);
  return { keyId: row.id, scope: row.scope, tenant };
}

async function findTenant(database: TenantDatabase, named: string, own: TenantIdentity | null): Promise<TenantIdentity> {
  const found = await database
    .selectFrom("downbeat.tenants")
    .select(["id", "slug"])
    .where(isUuid(named) ? "id" : "slug", "=", named.toLowerCase())
    .executeTakeFirst();
  if (found === undefined || (own !== null && found.id !== own.id)) throw new Problem("not_found", { detail: "There is no such tenant." });
  return found;
}

function unauthorized(detail: string, challenge = 'Bearer realm="downbeat", error="invalid_token"'): Problem {
  return new Problem("unauthorized", { detail, headers: { "www-authenticate": challenge } });
}
