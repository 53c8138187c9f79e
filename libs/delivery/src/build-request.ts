import { checkTenantHeaders, secretValues } from "./headers.ts";
import { CompatBodyRefusedError, sign } from "./sign.ts";
import type { SigningKey } from "./signing-secret.ts";
import { checkTargetUrl, joinTargetPath, type TargetUrl } from "./target-url.ts";

/** What the request says about the run. */
export interface RunToDeliver {
  id: string;
  scheduleId: string;
  tenantId: string;
  scheduledForMs: number;
  /** 1-based. */
  attempt: number;
  /** W3C trace context of this attempt. */
  traceparent?: string;
  /** True for a run of the past that somebody asked for; the receiver is told. */
  isBackfilled?: boolean;
}

/** A run that is canceled after its endpoint was called for it. */
export interface RunToCancel {
  id: string;
  scheduleId: string;
  tenantId: string;
  /** Id of the run that starts in its place. */
  replacedBy: string;
}

/** Any signed HTTP request below the endpoint's base URL. */
export interface HttpTarget {
  type: "http";
  /** Default `POST`. `GET` sends no body: the headers say what is due. */
  method?: "POST" | "PUT" | "PATCH" | "GET";
  /** Appended to the base URL: `/orders`, `?full=1` or nothing. */
  path: string;
  headers?: Readonly<Record<string, string>>;
}

/** What a run calls. `commands` and `workflow` join here. */
export type Target = HttpTarget;

export interface EndpointToCall {
  baseUrl: string;
  headers: Readonly<Record<string, string>>;
  compatSignatures: boolean;
  timeoutMs: number;
  /** Live keys, newest first. */
  signingKeys: readonly SigningKey[];
}

export interface RequestInput {
  run: RunToDeliver;
  target: Target;
  /** The schedule's input: any JSON value. */
  input: unknown;
  endpoint: EndpointToCall;
  attemptAtMs: number;
  userAgent: string;
  allowPrivateTargets: boolean;
}

declare const signed: unique symbol;

/** A request whose URL was checked, whose headers obey the policy and whose bytes are signed. Only `buildRequest` makes one, and only this can be called. */
export interface SignedRequest {
  readonly url: TargetUrl;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** For the whole call: connecting, headers and body. */
  readonly timeoutMs: number;
  /** Header values that must not be stored when the answer repeats them. */
  readonly secretValues: readonly string[];
  readonly [signed]: true;
}

/** No request could be made; nothing was sent and trying again will not help. `message` may be shown to the tenant. */
export interface RequestRefusal {
  readonly kind: "refusal";
  readonly code: "url_forbidden" | "misconfigured";
  readonly message: string;
}

export type BuiltRequest =
  | { readonly ok: true; readonly request: SignedRequest }
  | { readonly ok: false; readonly refusal: RequestRefusal };

/** Largest body that is sent (rule W10). */
const bodyBytesMax = 256 * 1024;

/** Makes the request of one attempt: URL rules (S4), header policy (W7), body, and last the signature over exactly these bytes (W1–W3). Pure. */
export function buildRequest(input: RequestInput): BuiltRequest {
  const { run, target } = input;
  const method = target.method ?? "POST";
  return build(input, {
    webhookId: run.id,
    method,
    body: method === "GET" ? noBody : Buffer.from(bodyOf(input)),
    headers: {
      "Idempotency-Key": run.id,
      "X-Schedule-Id": run.scheduleId,
      "X-Scheduled-For": new Date(run.scheduledForMs).toISOString(),
      "X-Attempt": String(run.attempt),
      ...(run.traceparent === undefined ? {} : { traceparent: run.traceparent }),
    },
  });
}

/**
 * The call that tells a receiver to stop working on a run: a POST to where the run was called, signed like it. It has a `webhook-id` of its own, or a receiver that dedupes would
 * take it for a repetition of the run's call and ignore it.
 */
export function buildCancelRequest({ run, ...input }: Omit<RequestInput, "run" | "input"> & { run: RunToCancel }): BuiltRequest {
  const body = {
    type: "run.canceled",
    run_id: run.id,
    schedule_id: run.scheduleId,
    tenant_id: run.tenantId,
    reason: "superseded",
    replaced_by: run.replacedBy,
  };
  return build(input, {
    webhookId: `cancel-${run.id}`,
    method: "POST",
    body: Buffer.from(JSON.stringify(body)),
    headers: { "Idempotency-Key": `cancel-${run.id}`, "X-Schedule-Id": run.scheduleId },
  });
}

interface Message {
  webhookId: string;
  method: string;
  body: Buffer;
  headers: Readonly<Record<string, string>>;
}

function build(input: Omit<RequestInput, "run" | "input">, { webhookId, method, body, headers: own }: Message): BuiltRequest {
  const { target, endpoint, attemptAtMs, userAgent, allowPrivateTargets } = input;
  const base = checkTargetUrl(endpoint.baseUrl, { allowPrivateTargets });
  if (!base.ok) return refuse("url_forbidden", `The endpoint's URL ${base.message}.`);
  const joined = joinTargetPath(base.url, target.path);
  if (!joined.ok) return refuse("url_forbidden", `The target's URL ${joined.message}.`);
  if (endpoint.signingKeys.length === 0) return refuse("misconfigured", "The endpoint has no signing secret.");

  const tenantHeaders = mergeHeaders(endpoint.headers, target.headers ?? {});
  const [problem] = checkTenantHeaders(tenantHeaders);
  if (problem !== undefined) return refuse("misconfigured", `The header ${problem.header} ${problem.message}.`);
  if (body.length > bodyBytesMax)
    return refuse("misconfigured", `The request body is ${body.length} bytes, at most ${bodyBytesMax} are sent.`);

  let signature: Record<string, string>;
  try {
    signature = sign({ id: webhookId, attemptAtMs, body, keys: endpoint.signingKeys, compatSignatures: endpoint.compatSignatures });
  } catch (error) {
    if (!(error instanceof CompatBodyRefusedError)) throw error;
    return refuse("misconfigured", "Compat signatures need a request body that is a JSON object; GET sends none.");
  }
  const headers: Record<string, string> = {
    ...tenantHeaders,
    "user-agent": userAgent,
    "accept-encoding": "identity",
    ...(method === "GET" ? {} : { "content-type": "application/json" }),
    ...own,
    ...signature,
  };
  const request = { url: joined.url, method, headers, body, timeoutMs: endpoint.timeoutMs, secretValues: secretValues(tenantHeaders) };
  return { ok: true, request: request as unknown as SignedRequest };
}

const noBody = Buffer.alloc(0);

/** The JSON object a receiver reads. It names the tenant because one receiver may serve many. */
function bodyOf({ run, input }: RequestInput): string {
  return JSON.stringify({
    run_id: run.id,
    schedule_id: run.scheduleId,
    tenant_id: run.tenantId,
    scheduled_for: new Date(run.scheduledForMs).toISOString(),
    attempt: run.attempt,
    ...(run.isBackfilled === true ? { backfilled: true } : {}),
    input: input ?? null,
  });
}

/** The target's headers win over the endpoint's, whatever the case of their names. */
function mergeHeaders(endpoint: Readonly<Record<string, string>>, target: Readonly<Record<string, string>>): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const headers of [endpoint, target]) for (const [name, value] of Object.entries(headers)) merged[name.toLowerCase()] = value;
  return merged;
}

function refuse(code: RequestRefusal["code"], message: string): BuiltRequest {
  return { ok: false, refusal: { kind: "refusal", code, message } };
}
