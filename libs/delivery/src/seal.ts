import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";

/**
 * Sealing of endpoint secrets (rule K5): AES-256-GCM with a random nonce, bound by its additional data to tenant, endpoint and version, so that a row
 * copied to another endpoint does not open. Sealed bytes: nonce (12) ‖ ciphertext ‖ tag (16).
 */
const algorithm = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** Where a secret belongs. All three are part of the seal. */
export interface SealedPlace {
  tenantId: string;
  endpointId: string;
  version: number;
}

export interface Sealed {
  /** Names the key of the ring that sealed; stored beside the bytes. */
  keyId: string;
  sealed: Buffer;
}

export type SealErrorCode =
  /** The ring has no key of that name: it was taken out of the configuration too early. */
  | "unknown_key"
  /** The bytes were changed, cut, moved from another place, or sealed by another key of the same name. */
  | "not_authentic";

/** Thrown by `openSealed`. The message names key and place, never content. */
export class SealError extends Error {
  override readonly name = "SealError";
  readonly code: SealErrorCode;
  constructor(code: SealErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Thrown by `parseKeyRing`. The message names the entry by its position and never repeats key material. */
export class KeyRingError extends Error {
  override readonly name = "KeyRingError";
}

/** Keys by id. The first one seals, all of them open: a new key is put in front, the old one is removed once nothing is sealed with it any more. */
export interface KeyRing {
  readonly sealingKeyId: string;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

/** Reads `keyid:base64key[,keyid:base64key…]`, each key 32 bytes (`openssl rand -base64 32`). */
export function parseKeyRing(text: string): KeyRing {
  const keys = new Map<string, KeyObject>();
  for (const [index, entry] of text.split(",").entries()) {
    const position = `key ${index + 1} of the ring`;
    const [, keyId, encoded] = /^\s*([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})\s*$/.exec(entry) ?? [];
    if (keyId === undefined || encoded === undefined) throw new KeyRingError(`${position} is not of the form keyid:base64key`);
    const bytes = Buffer.from(encoded, "base64");
    if (bytes.length !== keyBytes) throw new KeyRingError(`${position} ("${keyId}") holds ${bytes.length} bytes, must hold ${keyBytes}`);
    if (keys.has(keyId)) throw new KeyRingError(`${position} repeats the id "${keyId}"`);
    keys.set(keyId, createSecretKey(bytes));
  }
  const [sealingKeyId] = keys.keys();
  if (sealingKeyId === undefined) throw new KeyRingError("the key ring is empty");
  return { sealingKeyId, keys };
}

/** Why the text is no key ring, without repeating any of it; null when it is one. */
export function keyRingProblem(text: string): string | null {
  try {
    parseKeyRing(text);
    return null;
  } catch (error) {
    if (error instanceof KeyRingError) return error.message;
    throw error;
  }
}

/** Seals `secret` for its place with the first key of the ring. Two seals of the same secret differ. */
export function seal(ring: KeyRing, place: SealedPlace, secret: string): Sealed {
  const keyId = ring.sealingKeyId;
  // A nonce must never repeat under one key. Drawn at random it is safe for some 2^32 seals; it is no test parameter on purpose.
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, keyOf(ring, keyId), nonce, { authTagLength: tagBytes });
  cipher.setAAD(additionalData(place));
  const ciphertext = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return { keyId, sealed: Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]) };
}

/** Opens what `seal` made for the same place. Throws `SealError`. */
export function openSealed(ring: KeyRing, place: SealedPlace, { keyId, sealed }: { keyId: string; sealed: Uint8Array }): string {
  const key = keyOf(ring, keyId);
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  try {
    // Stating the tag's length refuses shortened tags, which Node would otherwise accept.
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(additionalData(place));
    decipher.setAuthTag(bytes.subarray(Math.max(nonceBytes, bytes.length - tagBytes)));
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString("utf8");
  } catch (error) {
    const where = `tenant ${place.tenantId}, endpoint ${place.endpointId}, version ${place.version}`;
    throw new SealError("not_authentic", `the secret of ${where} does not open with key "${keyId}"`, { cause: error });
  }
}

function keyOf(ring: KeyRing, keyId: string): KeyObject {
  const key = ring.keys.get(keyId);
  if (key === undefined) throw new SealError("unknown_key", `the key ring holds no key "${keyId}"`);
  return key;
}

function additionalData({ tenantId, endpointId, version }: SealedPlace): Buffer {
  return Buffer.from(`${tenantId}|${endpointId}|${version}`);
}
