import type { RequestRefusal } from "./build-request.ts";
import type { CallFailureCode } from "./call-failure.ts";
import type { CallResult } from "./call-in-flight.ts";

/** Stable code of an outcome: `http_503`, a failure of the call, or why no request could be made. */
export type OutcomeCode = `http_${number}` | CallFailureCode | RequestRefusal["code"];

interface OutcomeBase {
  readonly code: OutcomeCode;
  readonly httpStatus: number | null;
  /** For the tenant. Says nothing about addresses or name resolution, and the same for blocked, refused and unresolved targets (rule S5). */
  readonly publicText: string;
  /** Header `retry-after` of the answer, as it came. */
  readonly retryAfter: string | null;
  /** The target asked not to be called any more (410, or `webhook-delivery: disable`). */
  readonly disableEndpoint: boolean;
}

/** What an attempt came to, by what happens next (rule W12). */
export type Outcome =
  | (OutcomeBase & { readonly kind: "success" })
  /** Likely to pass: retried on the full schedule. */
  | (OutcomeBase & { readonly kind: "transient" })
  /** Possibly a mistake that is just being mended: retried at most two more times. */
  | (OutcomeBase & { readonly kind: "limited" })
  /** The same request will fail again. */
  | (OutcomeBase & { readonly kind: "permanent"; readonly runReason: "rejected" | "misconfigured" })
  | (OutcomeBase & { readonly kind: "gone" })
  /** Not called: the address or URL is not one Downbeat may call. */
  | (OutcomeBase & { readonly kind: "blocked" });

/** The code that may leave the service: one for everything that would tell a port scanner what is behind a name (rule S5). */
export function publicCode(code: OutcomeCode): OutcomeCode | "not_reached" {
  return notReachedCodes.has(code) ? "not_reached" : code;
}

const notReachedCodes: ReadonlySet<OutcomeCode> = new Set(["blocked", "dns", "refused", "unreachable", "connect_timeout"]);
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429]);
const permanentStatuses: ReadonlySet<number> = new Set([400, 413, 415, 422]);
/** "Not implemented" and "HTTP version not supported" are about the request, not about the moment. */
const limitedServerErrors: ReadonlySet<number> = new Set([501, 505]);

/** Decides what an attempt came to. Total: every status and every failure has an outcome. */
export function classify(result: CallResult | RequestRefusal): Outcome {
  switch (result.kind) {
    case "refusal":
      return classifyRefusal(result);
    case "failure":
      return {
        kind: result.code === "blocked" ? "blocked" : "transient",
        code: result.code,
        httpStatus: result.status,
        publicText: failureTexts[result.code],
        retryAfter: null,
        disableEndpoint: false,
      };
    case "response":
      return classifyStatus(result.status, result.retryAfter, result.webhookDelivery);
  }
}

function classifyRefusal({ code, message }: RequestRefusal): Outcome {
  const base = { code, httpStatus: null, publicText: message, retryAfter: null, disableEndpoint: false };
  return code === "url_forbidden" ? { kind: "blocked", ...base } : { kind: "permanent", runReason: "misconfigured", ...base };
}

function classifyStatus(status: number, retryAfter: string | null, webhookDelivery: string | null): Outcome {
  const instruction = webhookDelivery?.trim().toLowerCase();
  const isRedirect = status >= 300 && status < 400;
  const base: OutcomeBase = {
    code: `http_${status}`,
    httpStatus: status,
    publicText: `The target answered ${status}.${isRedirect ? " Redirects are not followed: update the URL." : ""}`,
    retryAfter,
    disableEndpoint: status === 410 || instruction === "disable",
  };
  if (status >= 200 && status < 300) return { kind: "success", ...base };
  if (status === 410) return { kind: "gone", ...base };
  // The target's own word on this message outweighs what its status would mean.
  if (instruction === "abort-message" || instruction === "disable") return { kind: "permanent", runReason: "rejected", ...base };
  if (permanentStatuses.has(status)) return { kind: "permanent", runReason: "rejected", ...base };
  if (transientStatuses.has(status) || (status >= 500 && status < 600 && !limitedServerErrors.has(status)))
    return { kind: "transient", ...base };
  return { kind: "limited", ...base };
}

const notReached = "The target could not be reached.";

const failureTexts: Readonly<Record<CallFailureCode, string>> = {
  timeout: "The target did not answer in time.",
  body_too_slow: "The target began its answer but did not finish it in time.",
  connect_timeout: notReached,
  dns: notReached,
  refused: notReached,
  unreachable: notReached,
  blocked: notReached,
  reset: "The connection ended before the answer was complete.",
  tls: "No trusted TLS connection could be made: check the certificate.",
  invalid_response: "The target's answer is not valid HTTP/1.1.",
  aborted: "The call was given up by Downbeat before it ended.",
  internal: "The call could not be made because of a fault in Downbeat.",
};
