import { buildCancelRequest, buildRequest, type Target } from "@downbeat/delivery/build-request.ts";
import type { Caller } from "@downbeat/delivery/call.ts";
import { classify, publicCode } from "@downbeat/delivery/outcome.ts";
import { nextDelay } from "@downbeat/delivery/retry-policy.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import { backfillTrigger } from "@downbeat/store/trigger.ts";
import type { AttemptRecord } from "@downbeat/store/record-outcomes.ts";
import type { DatabaseTime } from "./database-time.ts";
import type { Endpoints } from "./endpoints.ts";

export interface DeliverOptions {
  endpoints: Endpoints;
  caller: Caller;
  databaseTime: DatabaseTime;
  random: Random;
  allowPrivateTargets: boolean;
}

/** What became of an attempt: what the ledger and so the tenant may see, and what only the operator's log says (rule S5). */
export interface Delivered {
  record: AttemptRecord;
  internalCode: string;
  /** May hold internal addresses and resolver detail. */
  detail: string | null;
}

/** No attempt of an occurrence starts later than this after it (rule W13). */
const retriedForMsMax = 72 * 3_600_000;

const userAgent = "Downbeat/0.1 (+webhook)";

/**
 * ⑥⑦ One attempt: build and sign the request, make the call, and decide what its outcome means for the run. Never throws for what a target does; a request that cannot be
 * made is an outcome too.
 */
export async function deliver(run: LeasedRun, options: DeliverOptions): Promise<Delivered> {
  const { endpoints, caller, databaseTime, random, allowPrivateTargets } = options;
  const startedAt = databaseTime.now();
  const endpoint = endpoints.get({ tenantId: run.tenantId, endpointId: run.endpointId, revision: run.endpointRevision });
  if (endpoint === undefined) throw new Error(`endpoint ${run.endpointId} was not loaded with the lease of run ${run.runId}`);
  const built = buildRequest({
    run: {
      id: run.runId,
      scheduleId: run.scheduleId,
      tenantId: run.tenantId,
      scheduledForMs: run.scheduledFor,
      attempt: run.attempt,
      isBackfilled: isBackfill(run),
    },
    // Validated by the API's schema when the schedule was saved.
    target: run.target as Target,
    input: run.input,
    endpoint,
    attemptAtMs: startedAt,
    userAgent,
    allowPrivateTargets,
  });
  const result = built.ok ? await caller.call(built.request) : built.refusal;
  const outcome = classify(result);
  const next =
    outcome.kind === "success"
      ? ({ state: "succeeded" } as const)
      : toNext(
          nextDelay({
            attempt: run.attempt,
            limitedBefore: run.limitedBefore,
            outcome,
            random,
            nowMs: databaseTime.now(),
            // What is backfilled is of the past as it is.
            ...(isBackfill(run) ? {} : { endsAtMs: run.scheduledFor + retriedForMsMax }),
            ...(run.retryUntil === null ? {} : { nextFireAtMs: run.retryUntil }),
          }),
        );
  const code = publicCode(outcome.code);
  const record: AttemptRecord = {
    tenantId: run.tenantId,
    runId: run.runId,
    leaseToken: run.leaseToken,
    attempt: run.attempt,
    outcome: outcome.kind,
    code: outcome.kind === "success" ? null : code,
    httpStatus: outcome.httpStatus,
    startedAt,
    // How long an unreachable address took to fail would tell what is behind it.
    durationMs: result.kind === "refusal" || code === "not_reached" ? 0 : result.durationMs,
    responseExcerpt: result.kind === "response" ? result.excerpt : null,
    next,
  };
  return { record, internalCode: outcome.code, detail: result.kind === "failure" ? result.detail : null };
}

/** Tells the endpoint that a run it was called for is canceled because a newer one starts in its place. What comes of it is logged and changes nothing. */
export async function tellCanceled(run: LeasedRun, canceledRunId: string, options: DeliverOptions): Promise<string> {
  const { endpoints, caller, databaseTime, allowPrivateTargets } = options;
  const endpoint = endpoints.get({ tenantId: run.tenantId, endpointId: run.endpointId, revision: run.endpointRevision });
  if (endpoint === undefined) return "endpoint_unknown";
  const built = buildCancelRequest({
    run: { id: canceledRunId, scheduleId: run.scheduleId, tenantId: run.tenantId, replacedBy: run.runId },
    target: run.target as Target,
    endpoint: { ...endpoint, timeoutMs: Math.min(endpoint.timeoutMs, cancelTimeoutMs) },
    attemptAtMs: databaseTime.now(),
    userAgent,
    allowPrivateTargets,
  });
  return classify(built.ok ? await caller.call(built.request) : built.refusal).code;
}

/** The new run waits for the call that cancels the old one, so it must not take long. */
const cancelTimeoutMs = 5_000;

function isBackfill({ triggerId }: LeasedRun): boolean {
  return triggerId.startsWith(backfillTrigger);
}

function toNext(decision: ReturnType<typeof nextDelay>): AttemptRecord["next"] {
  return decision.retry ? { state: "retrying", delayMs: decision.delayMs } : { state: "failed", reason: decision.reason };
}
