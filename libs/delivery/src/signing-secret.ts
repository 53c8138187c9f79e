import { createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto";

/** Shortest and longest key a Standard Webhooks secret may hold, in bytes (rule W4). */
const keyBytesMin = 24;
const keyBytesMax = 64;
const prefix = "whsec_";

declare const parsed: unique symbol;

/**
 * A secret that was read and found valid: the only thing `sign` takes. It holds the key as a `KeyObject`, which does not show its bytes when it is printed
 * or serialised, and is parsed once for many calls.
 */
export interface SigningKey {
  readonly key: KeyObject;
  /** First 8 hex digits of the key's SHA-256: tells secrets apart in lists and logs, and is too short to confirm a guess of a weak one. */
  readonly fingerprint: string;
  readonly [parsed]: true;
}

export type ParsedSecret = { readonly ok: true; readonly key: SigningKey } | { readonly ok: false; readonly message: string };

/** A new secret of 32 random bytes, as it is shown to the tenant once: `whsec_<base64>`. */
export function createSecret(): string {
  return formatSecret(randomBytes(32));
}

/** Writes key bytes as a secret. The raw text S of an older signature scheme keeps working as `formatSecret(Buffer.from(S))` (rule W4). */
export function formatSecret(key: Uint8Array): string {
  return prefix + Buffer.from(key).toString("base64");
}

/** Reads `whsec_<base64 of 24 to 64 bytes>`. The message never repeats the text. */
export function parseSecret(text: string): ParsedSecret {
  if (!text.startsWith(prefix)) return { ok: false, message: `must start with ${prefix}` };
  const encoded = text.slice(prefix.length);
  const bytes = Buffer.from(encoded, "base64");
  // Node reads base64 leniently, receivers' libraries do not: a secret only one side can read would fail every verification.
  if (bytes.toString("base64") !== encoded) return { ok: false, message: `must be standard base64 with padding after ${prefix}` };
  if (bytes.length < keyBytesMin || bytes.length > keyBytesMax) {
    return { ok: false, message: `must hold ${keyBytesMin} to ${keyBytesMax} bytes, holds ${bytes.length}` };
  }
  const fingerprint = createHash("sha256").update(bytes).digest("hex").slice(0, 8);
  return { ok: true, key: { key: createSecretKey(bytes), fingerprint } as SigningKey };
}
