import { type KeyRing, openSealed } from "@downbeat/delivery/seal.ts";
import { parseSecret } from "@downbeat/delivery/signing-secret.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";

/** Endpoints with their live secrets, still sealed, newest first. Index: primary keys. */
export function selectEndpoints(database: TenantDatabase) {
  return database
    .selectFrom("downbeat.endpoints as endpoint")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "endpoint.tenant_id")
    .selectAll("endpoint")
    .select("tenant.slug")
    .select((row) =>
      jsonArrayFrom(
        row
          .selectFrom("downbeat.endpoint_secrets as secret")
          .select(["secret.version", "secret.key_id", fragment<string>`encode(secret.sealed, 'hex')`.as("sealed_hex")])
          .whereRef("secret.tenant_id", "=", "endpoint.tenant_id")
          .whereRef("secret.endpoint_id", "=", "endpoint.id")
          .where(fragment<boolean>`coalesce(secret.expires_at > now(), true)`)
          .orderBy("secret.version", "desc"),
      ).as("secrets"),
    );
}

type EndpointRow = Awaited<ReturnType<ReturnType<typeof selectEndpoints>["executeTakeFirstOrThrow"]>>;

/** What an answer shows: never a secret, never the value of a header. */
export function toEndpoint(row: EndpointRow, keyRing: KeyRing) {
  return {
    id: row.id,
    tenant: { id: row.tenant_id, slug: row.slug },
    name: row.name,
    base_url: row.base_url,
    compat_signatures: row.compat_signatures,
    header_names: Object.keys(row.headers),
    timeout_ms: row.timeout_ms,
    secret_fingerprints: row.secrets.map((secret) => fingerprintOf(row, secret, keyRing)),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

function fingerprintOf(row: EndpointRow, secret: EndpointRow["secrets"][number], keyRing: KeyRing): string | null {
  const place = { tenantId: row.tenant_id, endpointId: row.id, version: secret.version };
  try {
    const parsed = parseSecret(openSealed(keyRing, place, { keyId: secret.key_id, sealed: Buffer.from(secret.sealed_hex, "hex") }));
    return parsed.ok ? parsed.key.fingerprint : null;
  } catch {
    // A secret that does not open is shown as such; the executor is the one that needs it and says so.
    return null;
  }
}
