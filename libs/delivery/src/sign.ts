import { createHmac } from "node:crypto";
import type { SigningKey } from "./signing-secret.ts";

export interface MessageToSign {
  /** `webhook-id`: the run's id, the same on every attempt (rule W1). */
  id: string;
  /** When this attempt is made, milliseconds since 1970; sent in whole seconds. */
  attemptAtMs: number;
  /** Exactly the bytes that will be sent. */
  body: Buffer;
  /** Live keys, newest first; at least one. */
  keys: readonly SigningKey[];
  /** Also send `X-Hub-Signature-256` and `X-Timestamp`, for receivers older than Standard Webhooks (rule W2). They give no protection against replay. */
  compatSignatures: boolean;
}

/**
 * Thrown instead of signing a body that is not a JSON object while compat signatures are on (rule W3). The compat signature covers the bare body: a
 * tenant who may choose it freely chooses `<id>.<timestamp>.<other body>` and is handed a valid Standard Webhooks signature for the other body.
 */
export class CompatBodyRefusedError extends Error {
  override readonly name = "CompatBodyRefusedError";
}

/** The characters of an id that keep `<id>.<timestamp>.<body>` unambiguous: no dot (rule W1). */
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const openingBrace = 0x7b;

/**
 * The signature headers of one attempt (rules W1, W2): `webhook-signature` holds one `v1,<base64 HMAC-SHA256>` for each live key, so that a receiver
 * verifies with the old or the new one while a secret is rotated. The compat header has room for one signature and carries the newest key's.
 */
export function sign(message: MessageToSign): Record<string, string> {
  const { id, attemptAtMs, body, keys, compatSignatures } = message;
  const [newest] = keys;
  if (newest === undefined) throw new RangeError("nothing to sign with: the list of keys is empty");
  if (!idPattern.test(id)) throw new RangeError("a webhook id holds only letters, digits, '_' and '-'");
  if (compatSignatures && body[0] !== openingBrace) {
    throw new CompatBodyRefusedError("with compat signatures on, only a body that is a JSON object is signed");
  }
  const timestamp = String(Math.floor(attemptAtMs / 1000));
  const signed = `${id}.${timestamp}.`;
  const headers: Record<string, string> = {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": keys.map(({ key }) => `v1,${createHmac("sha256", key).update(signed).update(body).digest("base64")}`).join(" "),
  };
  if (compatSignatures) {
    headers["X-Hub-Signature-256"] = `sha256=${createHmac("sha256", newest.key).update(body).digest("hex")}`;
    headers["X-Timestamp"] = timestamp;
  }
  return headers;
}
