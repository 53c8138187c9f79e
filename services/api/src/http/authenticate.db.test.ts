import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey } from "./api-keys.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
});
afterAll(() => api.close());

describe("keys", () => {
  it("a missing, malformed, unknown, wrong, revoked or expired key is 401 with a challenge", async () => {
    const revoked = await createApiKey(api.admin, { scope: "tenant", tenantId: acme.id, name: "revoked" });
    await api.admin`update downbeat.api_keys set revoked_at = now() where id = ${revoked.id}`;
    const expired = await createApiKey(api.admin, { scope: "tenant", tenantId: acme.id, name: "expired" });
    await api.admin`update downbeat.api_keys set expires_at = now() where id = ${expired.id}`;
    const wrong = acme.key.slice(0, -1) + (acme.key.endsWith("a") ? "b" : "a");
    const unknown = acme.key.replace(/_[0-9a-z]{12}_/, "_000000000000_");
    for (const authorization of [
      undefined,
      "Basic abc",
      "Bearer",
      "Bearer x",
      ...[wrong, unknown, revoked.key, expired.key].map((key) => `Bearer ${key}`),
    ]) {
      const answer = await api.call("GET", "/api/v1/schedules", { headers: authorization === undefined ? {} : { authorization } });
      expect({ authorization, status: answer.status, code: answer.body.code }).toEqual({
        authorization,
        status: 401,
        code: "unauthorized",
      });
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer realm="downbeat"/);
    }
  });

  it("of an unknown and of a wrong key the same is said", async () => {
    const wrong = await api.call("GET", "/api/v1/schedules", { key: acme.key.slice(0, -1) + (acme.key.endsWith("a") ? "b" : "a") });
    const unknown = await api.call("GET", "/api/v1/schedules", { key: acme.key.replace(/_[0-9a-z]{12}_/, "_000000000000_") });
    expect({ ...wrong.body, request_id: "" }).toEqual({ ...unknown.body, request_id: "" });
  });

  it("the row holds a hash, never the key, and when it was last used", async () => {
    const rows =
      await api.admin`select id, api_keys::text as row, length(hash) as bytes, last_used_at from downbeat.api_keys where tenant_id = ${acme.id}`;
    const row = rows.find(({ id }) => acme.key.includes(id));
    expect(row).toMatchObject({ bytes: 32, last_used_at: expect.any(Date) });
    expect(row?.["row"]).not.toContain(acme.key.split("_").at(-1));
  });

  it("a read-only key reads, and is 403 for everything else", async () => {
    const { key } = await createApiKey(api.admin, { scope: "read", tenantId: acme.id, name: "reader" });
    for (const path of ["/tenants", "/endpoints", "/schedules", "/runs"])
      expect((await api.call("GET", `/api/v1${path}`, { key })).status).toBe(200);
    const writes = [
      ["POST", "/tenants"],
      ["POST", "/endpoints"],
      ["POST", "/schedules"],
      ["POST", "/schedules/x/pause"],
      ["POST", "/schedules/x/resume"],
      ["POST", "/schedules/x/run"],
      ["DELETE", "/schedules/x"],
    ] as const;
    for (const [method, path] of writes) {
      const { status, body } = await api.call(method, `/api/v1${path}`, { key, ...(method === "POST" ? { body: {} } : {}) });
      expect({ path, status, code: body.code }).toEqual({ path, status: 403, code: "forbidden" });
    }
  });

  it("a key can be made over an administrator's connection and over the API's own", async () => {
    const own = await createApiKey(api.database.connectAs("downbeat_api"), { scope: "admin", name: "bootstrap", env: "dev" });
    expect(own.key).toMatch(/^sk_dev_[0-9a-z]{12}_[0-9A-Za-z]{43}$/);
    expect((await api.call("GET", "/api/v1/tenants", { key: own.key })).status).toBe(200);
  });
});

describe("X-Tenant", () => {
  it("an administrator must name a tenant to write, by slug or id", async () => {
    const body = { name: "by-admin", base_url: "http://127.0.0.1:9/" };
    const without = await api.call("POST", "/api/v1/endpoints", { key: api.adminKey, body });
    expect([without.status, without.body.code, without.body.errors[0].field]).toEqual([400, "tenant_required", "X-Tenant"]);
    const bySlug = await api.call("POST", "/api/v1/endpoints", { key: api.adminKey, tenant: "acme", body });
    expect([bySlug.status, bySlug.body.tenant]).toEqual([201, { id: acme.id, slug: "acme" }]);
    const byId = await api.call("POST", "/api/v1/endpoints", { key: api.adminKey, tenant: globex.id, body });
    expect([byId.status, byId.body.tenant.slug]).toEqual([201, "globex"]);
  });

  it("an administrator reads every tenant's rows, or one tenant's", async () => {
    const all = await api.call("GET", "/api/v1/endpoints", { key: api.adminKey });
    expect(new Set(all.body.items.map((item: { tenant: { slug: string } }) => item.tenant.slug))).toEqual(new Set(["acme", "globex"]));
    const one = await api.call("GET", "/api/v1/endpoints", { key: api.adminKey, tenant: "globex" });
    expect(new Set(one.body.items.map((item: { tenant: { slug: string } }) => item.tenant.slug))).toEqual(new Set(["globex"]));
  });

  it("a name that several tenants use is answered only when the tenant is named", async () => {
    const ambiguous = await api.call("GET", "/api/v1/endpoints/shop", { key: api.adminKey });
    expect([ambiguous.status, ambiguous.body.code]).toEqual([400, "tenant_required"]);
    expect((await api.call("GET", "/api/v1/endpoints/shop", { key: api.adminKey, tenant: "acme" })).status).toBe(200);
  });

  it("a tenant's key may name its own tenant; any other answers as one that does not exist", async () => {
    expect((await api.call("GET", "/api/v1/endpoints", { key: acme.key, tenant: "acme" })).status).toBe(200);
    const answers = await Promise.all(
      ["globex", globex.id, "no-such-tenant", "%%"].map((tenant) => api.call("GET", "/api/v1/endpoints", { key: acme.key, tenant })),
    );
    for (const { status, text, body } of answers) {
      expect(status).toBe(404);
      expect(text.replace(body.request_id, "")).toBe(answers[0]?.text.replace(answers[0].body.request_id, ""));
    }
  });

  it("only an administrator creates tenants; a slug is unique", async () => {
    expect((await api.call("POST", "/api/v1/tenants", { key: acme.key, body: { slug: "mine" } })).status).toBe(403);
    const taken = await api.call("POST", "/api/v1/tenants", { key: api.adminKey, body: { slug: "acme" } });
    expect([taken.status, taken.body.code, taken.body.errors[0].field]).toEqual([409, "name_taken", "slug"]);
    const wrong = await api.call("POST", "/api/v1/tenants", { key: api.adminKey, body: { slug: "Not A Slug" } });
    expect([wrong.status, wrong.body.errors[0].field]).toEqual([422, "slug"]);
  });
});
