import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { parseSecret } from "@downbeat/delivery/signing-secret.ts";
import { type ArrangedEndpoint, arrangeEndpoint, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Endpoints } from "./endpoints.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function arrange(keyRing = testSecretKeys) {
  const clock = new ManualClock(0);
  const { log, lines } = captureLog();
  const sql = database.connectAs("downbeat_executor", 1);
  return { clock, lines, endpoints: new Endpoints({ sql, keyRing: parseKeyRing(keyRing), log, clock }) };
}

const arrangeOne = (baseUrl = "https://one.example") => arrangeEndpoint(database.admin, baseUrl);
const at = ({ tenantId, endpointId }: ArrangedEndpoint, revision = 1) => ({ tenantId, endpointId, revision });
const edit = ({ endpointId }: ArrangedEndpoint, baseUrl: string) =>
  database.admin`update downbeat.endpoints set base_url = ${baseUrl}, revision = revision + 1 where id = ${endpointId}`;

function fingerprintOf(secret: string): string {
  const parsed = parseSecret(secret);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.key.fingerprint;
}

test("a loaded endpoint is ready to call, its secrets opened", async () => {
  const { endpoints } = arrange();
  const one = await arrangeOne();
  await endpoints.load([at(one)]);
  const endpoint = endpoints.get(at(one));
  expect(endpoint).toMatchObject({ baseUrl: "https://one.example", headers: {}, timeoutMs: 15_000, compatSignatures: false });
  expect(endpoint?.signingKeys.map(({ fingerprint }) => fingerprint)).toEqual([fingerprintOf(one.secret)]);
});

test("an endpoint stays in memory for a minute: an edit that names no new revision is not looked for", async () => {
  const { clock, endpoints } = arrange();
  const one = await arrangeOne();
  await endpoints.load([at(one)]);
  await database.admin`update downbeat.endpoints set base_url = 'https://two.example' where id = ${one.endpointId}`;
  clock.advance(59_999);
  await endpoints.load([at(one)]);
  expect(endpoints.get(at(one))?.baseUrl).toBe("https://one.example");
  clock.advance(1);
  await endpoints.load([at(one)]);
  expect(endpoints.get(at(one))?.baseUrl).toBe("https://two.example");
});

test("a lease that names a newer revision gets the newer settings at once", async () => {
  const { endpoints } = arrange();
  const one = await arrangeOne();
  await endpoints.load([at(one)]);
  await edit(one, "https://two.example");
  await endpoints.load([at(one, 2)]);
  expect(endpoints.get(at(one, 2))?.baseUrl).toBe("https://two.example");
});

test("an endpoint that is edited between the lease and the look-up is called with the newer settings, not left uncalled", async () => {
  const { endpoints } = arrange();
  const one = await arrangeOne();
  await edit(one, "https://two.example");
  await endpoints.load([at(one, 1)]);
  expect(endpoints.get(at(one, 1))?.baseUrl).toBe("https://two.example");
});

test("a secret that does not open is told to the operator without a trace of it, and the endpoint has no key then", async () => {
  const { endpoints, lines } = arrange(`other:${Buffer.alloc(32, 1).toString("base64")}`);
  const one = await arrangeOne();
  await endpoints.load([at(one)]);
  expect(endpoints.get(at(one))?.signingKeys).toEqual([]);
  expect(lines).toMatchObject([{ level: "error", endpoint: one.endpointId, tenant: one.tenantId, version: 1 }]);
  expect(JSON.stringify(lines)).not.toContain(one.secret);
});

test("a sealed secret that was copied from another endpoint does not open", async () => {
  const { endpoints, lines } = arrange();
  const [one, two] = [await arrangeOne(), await arrangeOne()];
  await database.admin`update downbeat.endpoint_secrets set sealed = (select sealed from downbeat.endpoint_secrets where endpoint_id = ${one.endpointId})
    where endpoint_id = ${two.endpointId}`;
  await endpoints.load([at(one), at(two)]);
  expect([endpoints.get(at(one))?.signingKeys.length, endpoints.get(at(two))?.signingKeys.length]).toEqual([1, 0]);
  expect(lines).toHaveLength(1);
});

test("one secret that does not open costs the endpoint's other secrets nothing", async () => {
  const { endpoints } = arrange();
  const one = await arrangeOne();
  await database.admin`insert into downbeat.endpoint_secrets (tenant_id, endpoint_id, version, key_id, sealed)
    values (${one.tenantId}, ${one.endpointId}, 2, 'lost', '')`;
  await endpoints.load([at(one)]);
  expect(endpoints.get(at(one))?.signingKeys.map(({ fingerprint }) => fingerprint)).toEqual([fingerprintOf(one.secret)]);
});

test("what was not loaded, and what does not exist, is not there", async () => {
  const { endpoints } = arrange();
  const [one, two] = [await arrangeOne(), await arrangeOne()];
  const swapped = { tenantId: one.tenantId, endpointId: two.endpointId, revision: 1 };
  await endpoints.load([at(one), swapped]);
  expect([endpoints.get(at(two)), endpoints.get(swapped), endpoints.get(at(one, 2))]).toEqual([undefined, undefined, undefined]);
});

test("of more endpoints than are kept, those needed last are kept, also when they were loaded first", async () => {
  const { endpoints } = arrange();
  const first = await arrangeOne();
  const many = await database.admin<{ tenantId: string; endpointId: string; revision: number }[]>`
    insert into downbeat.endpoints (tenant_id, name, base_url)
    select ${first.tenantId}, 'endpoint ' || number, 'https://many.example' from generate_series(1, 10000) as number
    returning tenant_id as "tenantId", id as "endpointId", revision`;
  await endpoints.load([at(first), ...many.slice(0, 9_999)]);
  await endpoints.load([at(first), ...many.slice(9_999)]);
  expect(endpoints.get(at(first))?.baseUrl).toBe("https://one.example");
  expect(many.filter((version) => endpoints.get(version) === undefined)).toHaveLength(1);
});
