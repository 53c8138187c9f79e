import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { buildCancelRequest, buildRequest, type RequestInput, type SignedRequest } from "./build-request.ts";
import { createSecret } from "./signing-secret.ts";
import { requestInput, signingKey } from "./testing/sample-request.ts";

function built(input: RequestInput): SignedRequest {
  const result = buildRequest(input);
  if (!result.ok) throw new Error(result.refusal.message);
  return result.request;
}

test("the body names run, schedule, tenant, instant and attempt, and carries the input", () => {
  const request = built(requestInput({ run: { attempt: 3 }, target: { type: "http", path: "/orders" } }));
  expect(JSON.parse(request.body.toString())).toEqual({
    run_id: "019a0000-0000-8000-8000-000000000001",
    schedule_id: "5b0e6a4e-0000-4000-8000-000000000002",
    tenant_id: "5b0e6a4e-0000-4000-8000-000000000003",
    scheduled_for: "2026-11-23T06:00:00.000Z",
    attempt: 3,
    input: { report: "daily" },
  });
  expect(request).toMatchObject({ method: "POST", timeoutMs: 15_000 });
  expect(request.url.href).toBe("https://hooks.example.com/in/orders");
});

test("the headers are those of rules W1 and W7", () => {
  const { headers } = built(requestInput({ run: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" } }));
  expect(headers).toEqual({
    "user-agent": "Downbeat/test",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "Idempotency-Key": "019a0000-0000-8000-8000-000000000001",
    "X-Schedule-Id": "5b0e6a4e-0000-4000-8000-000000000002",
    "X-Scheduled-For": "2026-11-23T06:00:00.000Z",
    "X-Attempt": "1",
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "webhook-id": "019a0000-0000-8000-8000-000000000001",
    "webhook-timestamp": "1795413601",
    "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  });
});

test("the stock library verifies what is built, and every attempt of a run has the same id", () => {
  const secret = createSecret();
  const endpoint = { signingKeys: [signingKey(secret)] };
  const attempts = [1, 2].map((attempt) => built(requestInput({ run: { attempt }, attemptAtMs: Date.now() + attempt * 1000, endpoint })));
  for (const { body, headers } of attempts) expect(() => new Webhook(secret).verify(body.toString(), { ...headers })).not.toThrow();
  expect(new Set(attempts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(attempts[0]?.headers["webhook-signature"]).not.toBe(attempts[1]?.headers["webhook-signature"]);
});

test("input of any JSON kind stays inside the object, so the compat signature never covers a body of the tenant's choice (rule W3)", () => {
  for (const input of ["exec_FAKE.1700000000.{}", [1], 7, null, undefined, { a: "\u2028\ud800" }]) {
    const { body } = built(requestInput({ input, endpoint: { compatSignatures: true } }));
    expect(body[0]).toBe("{".charCodeAt(0));
    expect(JSON.parse(body.toString())).toHaveProperty("input");
  }
});

test("tenant headers are sent, the target's win over the endpoint's, and their secrets are remembered for blotting out", () => {
  const request = built(
    requestInput({
      endpoint: { headers: { "X-Mine": "endpoint", Authorization: "Bearer canary-canary" } },
      target: { type: "http", path: "", headers: { "x-mine": "target" } },
    }),
  );
  expect(request.headers).toMatchObject({ "x-mine": "target", authorization: "Bearer canary-canary" });
  expect(request.secretValues).toContain("canary-canary");
});

test.each([
  ["no signing secret", { endpoint: { signingKeys: [] } }, "misconfigured", "no signing secret"],
  ["a header of ours", { endpoint: { headers: { "Webhook-Id": "x" } } }, "misconfigured", "cannot be overridden"],
  ["a header with a line break", { target: { type: "http", path: "", headers: { a: "b\r\nc: d" } } }, "misconfigured", "visible ASCII"],
  ["too large an input", { input: "x".repeat(256 * 1024) }, "misconfigured", "at most 262144"],
  [
    "compat signatures on a GET",
    { target: { type: "http", path: "", method: "GET" }, endpoint: { compatSignatures: true } },
    "misconfigured",
    "GET",
  ],
  ["an internal URL", { endpoint: { baseUrl: "https://169.254.169.254/" } }, "url_forbidden", "private"],
  ["an http URL", { endpoint: { baseUrl: "http://hooks.example.com/" } }, "url_forbidden", "https"],
  ["no URL", { endpoint: { baseUrl: "" } }, "url_forbidden", "valid"],
  ["a path that leaves the endpoint", { target: { type: "http", path: "/../x" } }, "url_forbidden", "below"],
] as const)("with %s nothing is built, and the refusal says why", (_what, changes, code, why) => {
  const result = buildRequest(requestInput(changes));
  expect(result).toEqual({ ok: false, refusal: { kind: "refusal", code, message: expect.stringContaining(why) } });
});

test("a GET has no body and no content type, and is signed all the same", () => {
  const secret = createSecret();
  const input = requestInput({
    target: { type: "http", path: "", method: "GET" },
    attemptAtMs: Date.now(),
    endpoint: { signingKeys: [signingKey(secret)] },
  });
  const { body, headers, method } = built(input);
  expect({ method, length: body.length }).toEqual({ method: "GET", length: 0 });
  expect(headers).not.toHaveProperty("content-type");
  expect(() => new Webhook(secret).verify("", { ...headers })).not.toThrow();
});

test("a backfilled run says so in its body; no other does", () => {
  const backfilled = JSON.parse(built(requestInput({ run: { isBackfilled: true } })).body.toString());
  expect(backfilled).toMatchObject({ backfilled: true, scheduled_for: "2026-11-23T06:00:00.000Z" });
  expect(JSON.parse(built(requestInput({ run: { isBackfilled: false } })).body.toString())).not.toHaveProperty("backfilled");
});

const canceled = {
  id: "019a0000-0000-8000-8000-00000000000a",
  scheduleId: "5b0e6a4e-0000-4000-8000-000000000002",
  tenantId: "5b0e6a4e-0000-4000-8000-000000000003",
  replacedBy: "019a0000-0000-8000-8000-00000000000b",
};

function canceling(changes: Parameters<typeof requestInput>[0] = {}) {
  const { run: _run, input: _input, ...rest } = requestInput(changes);
  const result = buildCancelRequest({ ...rest, run: canceled });
  if (!result.ok) throw new Error(result.refusal.message);
  return result.request;
}

test("the call that cancels a run goes to where the run was called, as a POST whatever the run's method is, and names both runs", () => {
  const request = canceling({ target: { type: "http", path: "/orders", method: "GET" }, endpoint: { headers: { "X-Mine": "endpoint" } } });
  expect(request).toMatchObject({ method: "POST", timeoutMs: 15_000 });
  expect(request.url.href).toBe("https://hooks.example.com/in/orders");
  expect(JSON.parse(request.body.toString())).toEqual({
    type: "run.canceled",
    run_id: canceled.id,
    schedule_id: canceled.scheduleId,
    tenant_id: canceled.tenantId,
    reason: "superseded",
    replaced_by: canceled.replacedBy,
  });
  expect(request.headers).toMatchObject({ "content-type": "application/json", "x-mine": "endpoint", "X-Schedule-Id": canceled.scheduleId });
});

test("the call that cancels a run is signed like the run's own and verifies, under an id of its own, or a receiver that dedupes would ignore it", () => {
  const secret = createSecret();
  const { body, headers } = canceling({ attemptAtMs: Date.now(), endpoint: { signingKeys: [signingKey(secret)], compatSignatures: true } });
  expect(new Webhook(secret).verify(body.toString(), { ...headers })).toMatchObject({ type: "run.canceled", run_id: canceled.id });
  expect(headers["webhook-id"]).toBe(`cancel-${canceled.id}`);
  expect(headers["webhook-id"]).toMatch(/^[A-Za-z0-9_-]+$/);
  expect(headers["Idempotency-Key"]).toBe(`cancel-${canceled.id}`);
  expect(headers).toHaveProperty("X-Hub-Signature-256");
});

test("a run is canceled under the same URL and header rules as it is called", () => {
  const { run: _run, input: _input, ...rest } = requestInput({ endpoint: { baseUrl: "http://10.0.0.1/" } });
  expect(buildCancelRequest({ ...rest, run: canceled })).toMatchObject({ ok: false, refusal: { code: "url_forbidden" } });
  const unsigned = requestInput({ endpoint: { signingKeys: [] } });
  expect(buildCancelRequest({ ...unsigned, run: canceled })).toMatchObject({ ok: false, refusal: { code: "misconfigured" } });
});
