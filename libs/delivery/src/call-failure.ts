import { errors } from "undici";
import { BlockedTargetError } from "./network-guard.ts";
import { HostNotResolvedError } from "./resolve-host.ts";

/** Why a call brought no usable answer. Stable: stored with the attempt. */
export type CallFailureCode =
  /** No answer within the headers' or the whole call's time, however far the request got. */
  | "timeout"
  /** A 2xx status came, but its body did not end within the call's time. */
  | "body_too_slow"
  /** TCP or TLS was not established in time. */
  | "connect_timeout"
  /** The host name has no address. */
  | "dns"
  | "refused"
  /** No route to the address. */
  | "unreachable"
  /** The connection ended before the answer did. */
  | "reset"
  /** The certificate was not accepted, or no common TLS version. */
  | "tls"
  /** The answer is not HTTP/1.1, or its headers are too large. */
  | "invalid_response"
  /** The target is at an address we must not call. Nothing was sent. */
  | "blocked"
  /** We gave the call up: the lease was lost or the process stops. */
  | "aborted"
  /** Our own fault: no file descriptors left, a request undici refuses. */
  | "internal";

export interface CallFailure {
  readonly code: CallFailureCode;
  /** For the log only: may hold internal addresses and resolver detail (rule S5). */
  readonly detail: string;
}

const codesOfErrors: Readonly<Record<string, CallFailureCode>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ECONNABORTED: "reset",
  UND_ERR_SOCKET: "reset",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "reset",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  ETIMEDOUT: "connect_timeout",
  UND_ERR_CONNECT_TIMEOUT: "connect_timeout",
  UND_ERR_HEADERS_OVERFLOW: "invalid_response",
  EPROTO: "tls",
};

/** Some messages quote what the target sent: every name of a certificate, for one. */
const detailLengthMax = 500;

/** OpenSSL's verdicts on certificates carry no common prefix of their own. */
const tlsCodes =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)/;

/** Names the failure behind an error of the connector, the socket, TLS or undici. */
export function failureOf(error: unknown): CallFailure {
  if (error instanceof BlockedTargetError) return { code: "blocked", detail: error.message };
  if (error instanceof HostNotResolvedError) return { code: "dns", detail: error.message };
  if (!(error instanceof Error)) return { code: "internal", detail: String(error) };
  const code = String((error as { code?: unknown }).code ?? "");
  const message = error.message.slice(0, detailLengthMax);
  const detail = code === "" || message.includes(code) ? message : `${code}: ${message}`;
  const known = codesOfErrors[code];
  if (known !== undefined) return { code: known, detail };
  if (tlsCodes.test(code)) return { code: "tls", detail };
  if (error instanceof errors.HTTPParserError) return { code: "invalid_response", detail };
  return { code: "internal", detail };
}
