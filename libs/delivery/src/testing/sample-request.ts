import { buildRequest, type RequestInput, type SignedRequest } from "../build-request.ts";
import { createSecret, parseSecret, type SigningKey } from "../signing-secret.ts";

export function signingKey(secret = createSecret()): SigningKey {
  const parsed = parseSecret(secret);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.key;
}

type Changes = Partial<Omit<RequestInput, "endpoint" | "run">> & {
  endpoint?: Partial<RequestInput["endpoint"]>;
  run?: Partial<RequestInput["run"]>;
};

/** What a request is built from, with what a test does not care about filled in. */
export function requestInput({ endpoint, run, ...changes }: Changes = {}): RequestInput {
  return {
    run: {
      id: "019a0000-0000-8000-8000-000000000001",
      scheduleId: "5b0e6a4e-0000-4000-8000-000000000002",
      tenantId: "5b0e6a4e-0000-4000-8000-000000000003",
      scheduledForMs: Date.UTC(2026, 10, 23, 6, 0, 0),
      attempt: 1,
      ...run,
    },
    target: { type: "http", path: "" },
    input: { report: "daily" },
    endpoint: {
      baseUrl: "https://hooks.example.com/in",
      headers: {},
      compatSignatures: false,
      timeoutMs: 15_000,
      signingKeys: [signingKey()],
      ...endpoint,
    },
    attemptAtMs: Date.UTC(2026, 10, 23, 6, 0, 1),
    userAgent: "Downbeat/test",
    allowPrivateTargets: false,
    ...changes,
  };
}

/** A request that can be called, on a loopback server unless `changes` say otherwise. */
export function signedRequest(changes: Changes): SignedRequest {
  const built = buildRequest(requestInput({ allowPrivateTargets: true, ...changes }));
  if (!built.ok) throw new Error(built.refusal.message);
  return built.request;
}
