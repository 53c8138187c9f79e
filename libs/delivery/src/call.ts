import { Agent } from "undici";
import type { SignedRequest } from "./build-request.ts";
import { CallInFlight, type CallLimits, type CallResult } from "./call-in-flight.ts";
import type { NetworkGuard } from "./network-guard.ts";
import { createPinnedConnect } from "./pinned-connect.ts";
import type { ResolveHost } from "./resolve-host.ts";

export interface CallerOptions {
  guard: NetworkGuard;
  resolve: ResolveHost;
  clock: { now(): number; monotonic(): number };
  /** Calls to one origin that are under way at once; more wait, inside their own deadline. */
  connectionsPerOriginMax: number;
  /** TCP and TLS together. */
  connectTimeoutMs?: number;
  /** From the request being written to its answer's headers. */
  headersTimeoutMs?: number;
  /** How long an unused connection is kept. At most 10 s, so that a name's address is looked at again often (rule S8). */
  keepAliveMs?: number;
  /** Bytes of an answer that are read before the connection is closed (rule W9). */
  responseBytesMax?: number;
  /** Bytes of an answer that are kept, at most 16 KiB (rule W9). */
  excerptBytesMax?: number;
  /** Certificate authorities to trust in place of the built-in ones, PEM. */
  certificateAuthorities?: string | readonly string[];
}

export interface Caller {
  /**
   * Makes one call. Never rejects: whatever the network does is a result. Resolves no later than the request's `timeoutMs` after it was asked, also while a
   * connection is being made or waited for; a call that was given up before its request was written is never sent. `signal` gives it up at once.
   */
  call(request: SignedRequest, signal?: AbortSignal): Promise<CallResult>;
  /** Waits for the calls under way (each bounded by its deadline) and closes all connections. New calls are answered `aborted`. */
  close(): Promise<void>;
}

const keepAliveMsMax = 10_000;
const excerptBytesLimit = 16 * 1024;

/**
 * Makes the only door through which tenants' targets are called. It has an agent of its own, so that nothing else shares its connections (rule S6); redirects
 * are not followed (rule W11), for undici's dispatcher does not know how.
 */
export function createCaller(options: CallerOptions): Caller {
  const { guard, resolve, clock, connectionsPerOriginMax, certificateAuthorities } = options;
  const { connectTimeoutMs = 5_000, keepAliveMs = 4_000, excerptBytesMax = 2_048 } = options;
  const limits: CallLimits = {
    headersTimeoutMs: options.headersTimeoutMs ?? 15_000,
    responseBytesMax: options.responseBytesMax ?? 64 * 1024,
    excerptBytesMax: Math.min(excerptBytesMax, excerptBytesLimit),
  };
  const agent = new Agent({
    connect: createPinnedConnect({
      guard,
      resolve,
      connectTimeoutMs,
      ...(certificateAuthorities === undefined ? {} : { certificateAuthorities }),
    }),
    connections: connectionsPerOriginMax,
    allowH2: false,
    // A receiver's `Keep-Alive: timeout=` may lengthen the first and is capped by the second.
    keepAliveTimeout: Math.min(keepAliveMs, keepAliveMsMax),
    keepAliveMaxTimeout: keepAliveMsMax,
    maxHeaderSize: 16 * 1024,
    // The call's own timer knows all deadlines exactly; undici's tick about once a second, and for the body they restart with every byte (rule W8).
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const underWay = new Set<CallInFlight>();
  let isClosed = false;

  return {
    call(request, signal) {
      const giveUp = () => call.giveUp();
      const call: CallInFlight = new CallInFlight(request, limits, clock, () => {
        underWay.delete(call);
        signal?.removeEventListener("abort", giveUp);
      });
      if (isClosed || signal?.aborted === true) {
        giveUp();
        return call.result;
      }
      underWay.add(call);
      signal?.addEventListener("abort", giveUp, { once: true });
      const { url, method, headers, body } = request;
      try {
        agent.dispatch({ origin: url.origin, path: url.pathname + url.search, method, headers, body }, call);
      } catch (error) {
        call.onResponseError(null, error);
      }
      return call.result;
    },
    async close() {
      isClosed = true;
      await Promise.all([...underWay].map((call) => call.result));
      await agent.destroy();
    },
  };
}
