import { afterAll, beforeAll, expect, it } from "vitest";
import { parseKeyRing, openSealed } from "@downbeat/delivery/seal.ts";
import { startTestApi, testKeyRing, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
});
afterAll(() => api.close());

const secret = `whsec_${Buffer.from("canary-secret-of-32-bytes-length").toString("base64")}`;

it("a secret that is not given is made, and shown exactly once", async () => {
  const { status, body, headers } = await api.call("POST", "/api/v1/endpoints", {
    key: acme.key,
    body: { name: "made", base_url: "https://a.example.com" },
  });
  expect([status, headers.get("location")]).toEqual([201, `/api/v1/endpoints/${body.id}`]);
  expect(body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const again = await api.call("GET", "/api/v1/endpoints/made", { key: acme.key });
  expect(again.body).toEqual({ ...body, secret: undefined });
});

it("neither secrets nor header values nor API keys are answered, logged or stored in plain text", async () => {
  const body = {
    name: "given",
    base_url: "https://b.example.com/hooks",
    secret,
    headers: { authorization: "Bearer canary-header" },
    compat_signatures: true,
    timeout_ms: 5_000,
  };
  const created = await api.call("POST", "/api/v1/endpoints", { key: acme.key, body });
  expect(created.body).toMatchObject({ header_names: ["authorization"], compat_signatures: true, timeout_ms: 5_000 });
  const read = await api.call("GET", "/api/v1/endpoints", { key: acme.key });
  const logged = JSON.stringify(api.logged);
  const keySecrets = [acme.key, api.adminKey].map((key) => key.split("_").at(-1) ?? "");
  for (const text of [created.text, read.text, logged]) {
    for (const canary of [secret, secret.slice(6), "canary", ...keySecrets]) expect(text).not.toContain(canary);
  }
  const tables = await api.admin`select tablename from pg_tables where schemaname = 'downbeat'`;
  for (const { tablename } of tables) {
    const rows = await api.admin`select t::text as row from ${api.admin(`downbeat.${tablename}`)} t`;
    const text = rows.map(({ row }) => row).join("\n");
    for (const canary of [
      secret,
      secret.slice(6),
      Buffer.from(secret).toString("hex"),
      Buffer.from(secret.slice(6), "base64").toString("hex"),
      ...keySecrets,
    ]) {
      expect({ tablename, isLeaked: text.includes(canary) }).toEqual({ tablename, isLeaked: false });
    }
  }
});

it("a secret is sealed for its own place: what is stored opens there and nowhere else", async () => {
  const ring = parseKeyRing(testKeyRing);
  const [row] = await api.admin`
    select secret.* from downbeat.endpoint_secrets secret join downbeat.endpoints endpoint on endpoint.id = secret.endpoint_id where endpoint.name = 'given'`;
  const place = { tenantId: row?.["tenant_id"], endpointId: row?.["endpoint_id"], version: row?.["version"] };
  const sealed = { keyId: row?.["key_id"], sealed: row?.["sealed"] };
  expect(openSealed(ring, place, sealed)).toBe(secret);
  expect(() => openSealed(ring, { ...place, endpointId: place.tenantId }, sealed)).toThrow("does not open");
});

it("a fingerprint tells secrets apart; one that the key ring no longer opens is shown as null", async () => {
  const { body } = await api.call("GET", "/api/v1/endpoints/given", { key: acme.key });
  expect(body.secret_fingerprints).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/)]);
  await api.admin`update downbeat.endpoint_secrets set key_id = 'retired' where endpoint_id = ${body.id}`;
  expect((await api.call("GET", "/api/v1/endpoints/given", { key: acme.key })).body.secret_fingerprints).toEqual([null]);
});

it("a name is unique within the tenant", async () => {
  const { status, body } = await api.call("POST", "/api/v1/endpoints", {
    key: acme.key,
    body: { name: "made", base_url: "https://c.example.com" },
  });
  expect([status, body.code, body.errors[0].field]).toEqual([409, "name_taken", "name"]);
});

it("pages through a list by name", async () => {
  const first = await api.call("GET", "/api/v1/endpoints?limit=2", { key: acme.key });
  const rest = await api.call("GET", `/api/v1/endpoints?limit=2&cursor=${first.body.next_cursor}`, { key: acme.key });
  expect([...first.body.items, ...rest.body.items].map(({ name }) => name)).toEqual(["given", "made", "shop"]);
  expect(rest.body.next_cursor).toBeNull();
});

it("a schedule that signs the old way cannot use GET, which has nothing to sign", async () => {
  const body = { name: "get", interval_seconds: 60, endpoint: "given", target: { method: "GET" } };
  const { status, body: problem } = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
  expect([status, problem.errors[0].field]).toEqual([422, "target.method"]);
});
