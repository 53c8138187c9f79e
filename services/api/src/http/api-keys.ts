import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import type { Sql } from "@downbeat/store/connect.ts";
import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";

/**
 * API keys (rule K6): `sk_<env>_<id>_<secret>`. The id finds the row; of the key only the SHA-256 is stored, which is enough for a secret of 256 random bits. The prefix lets
 * secret scanners recognise a key that leaked, `<env>` lets people.
 */
export type NewApiKey = {
  /** For people, in lists and logs. */
  name: string;
  /** Letters and digits that say where the key belongs: `live`, `dev`, `test`. Default `live`. */
  env?: string;
} & ({ scope: "admin"; tenantId?: null } | { scope: "tenant" | "read"; tenantId: string });

export interface CreatedApiKey {
  id: string;
  /** The key itself. Not stored anywhere: whoever asked must keep it. */
  key: string;
}

const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
/** No `-` and `_`, so that a double click selects the secret. 43 of these carry 256 bits. */
const secretAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const keyPattern = /^sk_[a-z0-9]{1,16}_([0-9a-z]{12})_[0-9A-Za-z]{43}$/;

/** Creates a key in a transaction of its own. `sql` may be the API's pool or an administrator's. */
export function createApiKey(sql: Sql, wanted: NewApiKey): Promise<CreatedApiKey> {
  return tenantTransaction(sql, { kind: "platform" }, (database) => insertApiKey(database, wanted));
}

/** Creates a key in the caller's transaction. */
export async function insertApiKey(
  database: TenantDatabase,
  { scope, tenantId = null, name, env = "live" }: NewApiKey,
): Promise<CreatedApiKey> {
  if (!/^[a-z0-9]{1,16}$/.test(env)) throw new RangeError(`env must be 1 to 16 lower-case letters or digits, got "${env}"`);
  const id = randomText(idAlphabet, 12);
  const key = `sk_${env}_${id}_${randomText(secretAlphabet, 43)}`;
  await database
    .insertInto("downbeat.api_keys")
    .values({ id, tenant_id: tenantId, scope, name, hash: hashOf(key) })
    .execute();
  return { id, key };
}

/** The id inside a text that has the form of a key. */
export function apiKeyId(key: string): string | undefined {
  return keyPattern.exec(key)?.[1];
}

/** Compares in constant time; an id that was not found (`hash` undefined) takes the same path. */
export function isApiKey(key: string, hash: Uint8Array | undefined): boolean {
  const isSame = timingSafeEqual(hashOf(key), hash ?? unknownHash);
  return isSame && hash !== undefined;
}

const unknownHash = Buffer.alloc(32);

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
}
