import type { Dispatcher } from "undici";
import type { SignedRequest } from "./build-request.ts";
import { type CallFailure, type CallFailureCode, failureOf } from "./call-failure.ts";
import { excerptOf } from "./excerpt.ts";

export interface CallLimits {
  headersTimeoutMs: number;
  responseBytesMax: number;
  excerptBytesMax: number;
}

interface CallTimes {
  /** Wall clock, milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly durationMs: number;
}

/** The target answered. The body was read to its end or, when `isCut`, as far as the limits allow. */
export interface CallResponse extends CallTimes {
  readonly kind: "response";
  readonly status: number;
  /** Beginning of the body: valid UTF-8, no NUL, secrets blotted out. */
  readonly excerpt: string;
  readonly isCut: boolean;
  /** Header `retry-after` as it came. */
  readonly retryAfter: string | null;
  /** Header `webhook-delivery` as it came. */
  readonly webhookDelivery: string | null;
  readonly [called]: true;
}

/** No usable answer. */
export interface CallWithoutResponse extends CallTimes, CallFailure {
  readonly kind: "failure";
  /** The status, when it had arrived. */
  readonly status: number | null;
  /** False when it is certain that the target saw nothing of the request. */
  readonly wasSent: boolean;
  readonly [called]: true;
}

declare const called: unique symbol;

/** What became of a call. Only `call` makes one, so what was not called cannot be classified or recorded. */
export type CallResult = CallResponse | CallWithoutResponse;

/** Thrown into undici to drop a request that nobody waits for any more; unlike an abort it leaves the fresh connection to others. */
const nobodyWaits = new Error("the call was given up before it was sent");

/** Collected beyond the excerpt, so that a secret at its edge is still seen whole and blotted out. */
const excerptMarginBytes = 8 * 1024;

/**
 * One call on its way through undici. Written against `dispatch` because it is the only interface under which a deadline also holds for a request that still
 * waits for a connection, and it needs no stream, no AbortController and one timer for all deadlines.
 */
export class CallInFlight implements Dispatcher.DispatchHandler {
  readonly result: Promise<CallResult>;
  readonly #request: SignedRequest;
  readonly #limits: CallLimits;
  readonly #clock: { now(): number; monotonic(): number };
  readonly #startedAtMs: number;
  readonly #startMs: number;
  readonly #onSettled: () => void;
  #resolve!: (result: CallResult) => void;
  #timer: NodeJS.Timeout | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #sentMs: number | undefined;
  #isSettled = false;
  #status = 0;
  #retryAfter: string | null = null;
  #webhookDelivery: string | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(request: SignedRequest, limits: CallLimits, clock: { now(): number; monotonic(): number }, onSettled: () => void) {
    this.#request = request;
    this.#limits = limits;
    this.#clock = clock;
    this.#onSettled = onSettled;
    this.#startedAtMs = clock.now();
    this.#startMs = clock.monotonic();
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#arm(Math.min(request.timeoutMs, limits.headersTimeoutMs));
  }

  /** Ends the call as `aborted`, wherever it is. */
  giveUp(): void {
    this.#fail({ code: "aborted", detail: "the call was given up" });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isSettled) throw nobodyWaits;
    this.#controller = controller;
    this.#sentMs = this.#clock.monotonic();
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    // 1xx only announce the answer; the deadlines go on.
    if (status < 200) return;
    this.#status = status;
    this.#retryAfter = firstOf(headers["retry-after"]);
    this.#webhookDelivery = firstOf(headers["webhook-delivery"]);
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.#isSettled) return;
    if (this.#bytes < this.#limits.excerptBytesMax + excerptMarginBytes) this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.responseBytesMax) this.#answer(true);
  }

  onResponseEnd(): void {
    this.#answer(false);
  }

  onResponseError(_controller: unknown, error: unknown): void {
    this.#fail(failureOf(error));
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  /** Set once for the nearest deadline and, rarely, again for the next: a call that goes well pays for one timer only. */
  #onTimer(): void {
    const nowMs = this.#clock.monotonic();
    const totalMs = this.#startMs + this.#request.timeoutMs;
    const isWaitingForHeaders = this.#status === 0 && this.#sentMs !== undefined;
    const headersMs = isWaitingForHeaders ? (this.#sentMs ?? 0) + this.#limits.headersTimeoutMs : Number.POSITIVE_INFINITY;
    const deadlineMs = Math.min(totalMs, headersMs);
    // A timer may fire a fraction of a millisecond early.
    if (nowMs < deadlineMs - 1) return this.#arm(Math.min(deadlineMs - nowMs, this.#limits.headersTimeoutMs));
    const code: CallFailureCode = this.#status === 0 ? "timeout" : "body_too_slow";
    this.#fail({ code, detail: `${this.#stage()} after ${Math.round(nowMs - this.#startMs)} ms` });
  }

  #stage(): string {
    if (this.#sentMs === undefined) return "still waiting for a connection";
    return this.#status === 0 ? "no response headers" : `response body not complete (${this.#bytes} bytes)`;
  }

  #answer(isCut: boolean): void {
    const { excerptBytesMax } = this.#limits;
    this.#settle({
      kind: "response",
      status: this.#status,
      excerpt: excerptOf(this.#chunks, excerptBytesMax, this.#request.secretValues),
      isCut,
      retryAfter: this.#retryAfter,
      webhookDelivery: this.#webhookDelivery,
      ...this.#times(),
    } as CallResponse);
  }

  #fail(failure: CallFailure): void {
    // Any other status speaks for itself; a success has to be complete, because what cut the answer may have cut the work.
    if (this.#status >= 300) return this.#answer(true);
    const { code, detail } = failure;
    const status = this.#status === 0 ? null : this.#status;
    this.#settle({ kind: "failure", code, detail, status, wasSent: this.#sentMs !== undefined, ...this.#times() } as CallWithoutResponse);
  }

  #settle(result: CallResult): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#chunks = [];
    this.#resolve(result);
    this.#onSettled();
    // Frees the connection of a call that was given up or has been read far enough; does nothing to one that ended.
    if (result.kind === "failure" || result.isCut) this.#controller?.abort(nobodyWaits);
  }

  #times(): CallTimes {
    return { startedAtMs: this.#startedAtMs, durationMs: Math.round(this.#clock.monotonic() - this.#startMs) };
  }
}

function firstOf(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}
