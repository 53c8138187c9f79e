import { expect, test } from "vitest";
import type { CallFailureCode } from "./call-failure.ts";
import type { CallResponse, CallResult, CallWithoutResponse } from "./call-in-flight.ts";
import { classify, publicCode } from "./outcome.ts";

const times = { startedAtMs: 0, durationMs: 1 };
const answered = (status: number, changes: Partial<CallResponse> = {}) =>
  ({ kind: "response", status, excerpt: "", isCut: false, retryAfter: null, webhookDelivery: null, ...times, ...changes }) as CallResult;
const failed = (code: CallFailureCode, changes: Partial<CallWithoutResponse> = {}) =>
  ({
    kind: "failure",
    code,
    detail: "connect ECONNREFUSED 10.20.30.40:8443",
    status: null,
    wasSent: false,
    ...times,
    ...changes,
  }) as CallResult;

function kindInTable(status: number): string {
  if (status >= 200 && status <= 299) return "success";
  if (status === 410) return "gone";
  if ([400, 413, 415, 422].includes(status)) return "permanent";
  if ([408, 425, 429].includes(status)) return "transient";
  if (status === 501 || status === 505) return "limited";
  if (status >= 500 && status <= 599) return "transient";
  return "limited";
}

test("every status has the outcome the table of rule W12 gives it", () => {
  for (let status = 200; status <= 999; status += 1) {
    const outcome = classify(answered(status));
    expect({ status, kind: outcome.kind }).toEqual({ status, kind: kindInTable(status) });
    expect(outcome).toMatchObject({ code: `http_${status}`, httpStatus: status, disableEndpoint: status === 410 });
    expect(outcome.publicText).toContain(String(status));
  }
});

test.each([
  ["timeout", "transient"],
  ["body_too_slow", "transient"],
  ["connect_timeout", "transient"],
  ["dns", "transient"],
  ["refused", "transient"],
  ["unreachable", "transient"],
  ["reset", "transient"],
  ["tls", "transient"],
  ["invalid_response", "transient"],
  ["aborted", "transient"],
  ["internal", "transient"],
  ["blocked", "blocked"],
] as const)("a call that failed with %s is %s", (code, kind) => {
  expect(classify(failed(code))).toMatchObject({ kind, code, httpStatus: null, retryAfter: null, disableEndpoint: false });
});

test("blocked, refused, unreachable and unresolved targets look the same to the tenant, and no text shows an address (rule S5)", () => {
  const hidden = (["blocked", "dns", "refused", "unreachable", "connect_timeout"] as const).map((code) => classify(failed(code)));
  expect(new Set(hidden.map(({ publicText }) => publicText))).toEqual(new Set(["The target could not be reached."]));
  expect(new Set(hidden.map(({ code }) => publicCode(code)))).toEqual(new Set(["not_reached"]));
  for (const code of ["timeout", "reset", "tls", "invalid_response", "internal"] as const) {
    expect(classify(failed(code)).publicText).not.toMatch(/10\.20\.30|ECONN/);
    expect(publicCode(code)).toBe(code);
  }
});

test("a redirect's text says what to do about it", () => {
  expect(classify(answered(301)).publicText).toBe("The target answered 301. Redirects are not followed: update the URL.");
});

test.each([
  [503, "abort-message", { kind: "permanent", runReason: "rejected", disableEndpoint: false }],
  [503, " Abort-Message ", { kind: "permanent", runReason: "rejected", disableEndpoint: false }],
  [503, "disable", { kind: "permanent", runReason: "rejected", disableEndpoint: true }],
  [200, "disable", { kind: "success", disableEndpoint: true }],
  [200, "abort-message", { kind: "success", disableEndpoint: false }],
  [410, "abort-message", { kind: "gone", disableEndpoint: true }],
  [503, "something-else", { kind: "transient", disableEndpoint: false }],
])("status %i with `webhook-delivery: %s` does what the target asked", (status, webhookDelivery, expected) => {
  expect(classify(answered(status, { webhookDelivery }))).toMatchObject(expected);
});

test("a status that arrived before the call failed is kept, and so is a Retry-After", () => {
  expect(classify(failed("body_too_slow", { status: 200 }))).toMatchObject({ kind: "transient", httpStatus: 200 });
  expect(classify(answered(429, { retryAfter: "120" }))).toMatchObject({ retryAfter: "120" });
});

test("a request that could not be made is blocked or misconfigured, and says why", () => {
  const refusal = { kind: "refusal", message: "The endpoint has no signing secret." } as const;
  expect(classify({ ...refusal, code: "misconfigured" })).toMatchObject({
    kind: "permanent",
    runReason: "misconfigured",
    publicText: refusal.message,
  });
  expect(classify({ ...refusal, code: "url_forbidden" })).toMatchObject({ kind: "blocked", code: "url_forbidden" });
});
