import type { Sql } from "./connect.ts";

export interface EndpointKey {
  tenantId: string;
  endpointId: string;
}

/** What a call needs to know of its endpoint. The secrets are sealed; newest first, expired ones left out. */
export interface StoredEndpoint extends EndpointKey {
  revision: number;
  baseUrl: string;
  hasCompatSignatures: boolean;
  headers: Record<string, string>;
  timeoutMs: number;
  secrets: { version: number; keyId: string; sealed: string }[];
}

/**
 * Loads endpoints with their live secrets, in one statement. `sealed` is base64, because JSON carries no bytes.
 *
 * Index: primary keys. No locks. Bounded by `keys`.
 */
export function loadEndpoints(sql: Sql, keys: readonly EndpointKey[]): Promise<StoredEndpoint[]> {
  return sql<StoredEndpoint[]>`
    select endpoint.tenant_id as "tenantId", endpoint.id as "endpointId", endpoint.revision, endpoint.base_url as "baseUrl",
      endpoint.compat_signatures as "hasCompatSignatures", endpoint.headers, endpoint.timeout_ms as "timeoutMs",
      coalesce((
        select json_agg(json_build_object('version', secret.version, 'keyId', secret.key_id, 'sealed', translate(encode(secret.sealed, 'base64'), E'\n', ''))
          order by secret.version desc)
        from downbeat.endpoint_secrets secret
        where secret.tenant_id = endpoint.tenant_id and secret.endpoint_id = endpoint.id and (secret.expires_at is null or secret.expires_at > now())
      ), '[]') as secrets
    from unnest(${keys.map((key) => key.tenantId)}::uuid[], ${keys.map((key) => key.endpointId)}::uuid[]) as given (tenant_id, id)
    join downbeat.endpoints endpoint on endpoint.tenant_id = given.tenant_id and endpoint.id = given.id`;
}
