import { randomUUID } from "node:crypto";
import { arrangeEndpoint } from "@downbeat/testkit/arrange.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { loadEndpoints } from "./load-endpoints.ts";

let database: TestDatabase;
let executor: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  executor = database.connectAs("downbeat_executor", 1);
});
afterAll(() => database.drop());

const addSecret = (endpoint: { tenantId: string; endpointId: string }, version: number, sealed: Buffer, expiresIn: string | null) =>
  database.admin`insert into downbeat.endpoint_secrets (tenant_id, endpoint_id, version, key_id, sealed, expires_at)
    values (${endpoint.tenantId}, ${endpoint.endpointId}, ${version}, 'test', ${sealed}, now() + ${expiresIn}::interval)`;

test("an endpoint comes with its settings and its live secrets, newest first, those that have expired left out", async () => {
  const endpoint = await arrangeEndpoint(database.admin, "https://example.com/hooks", { timeoutMs: 1_234 });
  await database.admin`update downbeat.endpoints set headers = '{"x-team": "billing"}', compat_signatures = true, revision = 4 where id = ${endpoint.endpointId}`;
  // Longer than a line of base64, which Postgres breaks.
  const sealed = Buffer.alloc(200, 7);
  await addSecret(endpoint, 2, sealed, null);
  await addSecret(endpoint, 3, sealed, "1 hour");
  await addSecret(endpoint, 4, sealed, "-1 second");
  const [loaded, ...others] = await loadEndpoints(executor, [endpoint]);
  expect(others).toEqual([]);
  expect(loaded).toMatchObject({
    tenantId: endpoint.tenantId,
    endpointId: endpoint.endpointId,
    revision: 4,
    baseUrl: "https://example.com/hooks",
    hasCompatSignatures: true,
    headers: { "x-team": "billing" },
    timeoutMs: 1_234,
  });
  expect(loaded?.secrets.map(({ version }) => version)).toEqual([3, 2, 1]);
  expect(loaded?.secrets[0]).toEqual({ version: 3, keyId: "test", sealed: sealed.toString("base64") });
});

test("an endpoint without a live secret is loaded without one", async () => {
  const endpoint = await arrangeEndpoint(database.admin, "https://example.com");
  await database.admin`update downbeat.endpoint_secrets set expires_at = now() where endpoint_id = ${endpoint.endpointId}`;
  expect(await loadEndpoints(executor, [endpoint])).toMatchObject([{ secrets: [] }]);
});

test("an endpoint is found only under its own tenant", async () => {
  const { endpointId } = await arrangeEndpoint(database.admin, "https://example.com");
  const other = await arrangeEndpoint(database.admin, "https://example.com");
  expect(
    await loadEndpoints(executor, [
      { tenantId: other.tenantId, endpointId },
      { tenantId: randomUUID(), endpointId },
    ]),
  ).toEqual([]);
});
