import type { Webhook } from "standardwebhooks";
import type { Call } from "./receiver-log.ts";

const toleranceMs = 5 * 60_000;

/**
 * Whether the stock library would have verified a call when it arrived. Its own `verify` takes the time of day from the machine, and by the end of a long test refuses the first calls as
 * old; so the signature is computed by it anew, and the age compared with the call's.
 */
export function isSigned(webhook: Webhook, { headers, body, atMs }: Call): boolean {
  const signedAt = new Date(Number(headers["webhook-timestamp"]) * 1_000);
  if (!(Math.abs(atMs - signedAt.getTime()) <= toleranceMs)) return false;
  const signature = webhook.sign(headers["webhook-id"] ?? "", signedAt, body);
  return (headers["webhook-signature"] ?? "").split(" ").includes(signature);
}
