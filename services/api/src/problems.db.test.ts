import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "./start-test-api.test-support.ts";

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi({ ALLOW_PRIVATE_TARGETS: false });
  tenant = await api.addTenant("acme");
  await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name: "shop", base_url: "https://shop.example.com" } });
});
afterAll(() => api.close());

const schedule = { name: "nightly", cron_expression: "0 2 * * *", endpoint: "shop" };

describe("every bad schedule is refused with a problem that names the field", () => {
  const cases: [string, unknown, number, string[]][] = [
    ["unknown time zone", { ...schedule, timezone: "Europe/Berln" }, 422, ["timezone"]],
    ["impossible minute", { ...schedule, cron_expression: "61 * * * *" }, 422, ["cron_expression"]],
    ["a date that never comes", { ...schedule, cron_expression: "0 0 30 2 *" }, 422, ["cron_expression"]],
    ["negative interval", { name: "x", interval_seconds: -5, endpoint: "shop" }, 422, ["interval_seconds"]],
    ["fraction of a second", { name: "x", interval_seconds: 1.5, endpoint: "shop" }, 422, ["interval_seconds"]],
    ["one-off in the past", { name: "x", run_at: "2020-01-01T00:00:00Z", endpoint: "shop" }, 422, ["run_at"]],
    ["instant without an offset", { name: "x", run_at: "2090-01-01T00:00:00", endpoint: "shop" }, 422, ["run_at"]],
    ["end before start", { ...schedule, starts_at: "2090-01-02T00:00:00Z", ends_at: "2090-01-01T00:00:00Z" }, 422, ["ends_at"]],
    ["fields of another kind", { ...schedule, kind: "cron", interval_seconds: 5 }, 422, ["interval_seconds"]],
    ["unknown endpoint", { ...schedule, endpoint: "nowhere" }, 422, ["endpoint"]],
    ["path that leaves the endpoint", { ...schedule, target: { path: "//evil.example" } }, 422, ["target.path"]],
    ["empty name", { ...schedule, name: "" }, 422, ["name"]],
    ["name in the form of an id", { ...schedule, name: "0190a1b2-0000-7000-8000-000000000000" }, 422, ["name"]],
    ["unknown method", { ...schedule, target: { method: "BREW" } }, 422, ["target.method"]],
    [
      "several at once",
      { ...schedule, cron_expression: "61 * * * *", timezone: "Mars", endpoint: "nowhere" },
      422,
      ["cron_expression", "timezone", "endpoint"],
    ],
    ["nothing at all", {}, 400, ["name", "endpoint"]],
    ["no rule", { name: "x", endpoint: "shop" }, 400, ["kind"]],
    ["two rules", { ...schedule, interval_seconds: 60 }, 400, ["kind"]],
    ["wrong type", { ...schedule, cron_expression: 5 }, 400, ["cron_expression"]],
    ["not an object", ["x"], 400, ["body"]],
    ["a NUL character", { ...schedule, input: { deep: ["a\0b"] } }, 400, ["input.deep.0"]],
    ["half of a surrogate pair", { ...schedule, name: "x\ud800" }, 400, ["name"]],
  ];
  it.each(cases)("%s", async (_title, body, status, fields) => {
    const answer = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
    expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect({ status: answer.status, fields: answer.body.errors.map((error: { field: string }) => error.field) }).toEqual({
      status,
      fields,
    });
    for (const field of fields) expect(answer.body.detail).toContain(field);
    expect(answer.body).toMatchObject({
      status,
      code: status === 400 ? "invalid_request" : "invalid_value",
      request_id: answer.headers.get("x-request-id"),
    });
  });

  it("an unknown field is named, with the one that was meant", async () => {
    const body = { ...schedule, cronExpression: "* * * * *", target: { pth: "/x" } };
    const { status, body: problem } = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
    expect(status).toBe(400);
    expect(problem.errors).toEqual([
      { field: "target.pth", message: 'is not a field that this route knows; did you mean "path"?', expected: "path" },
      {
        field: "cronExpression",
        message: 'is not a field that this route knows; did you mean "cron_expression"?',
        expected: "cron_expression",
      },
    ]);
  });

  it("refused schedules leave no row behind", async () => {
    expect(await api.admin`select 1 from downbeat.schedules`).toHaveLength(0);
    expect(await api.admin`select 1 from downbeat.schedule_due`).toHaveLength(0);
  });
});

describe("every bad endpoint is refused with a problem that names the field", () => {
  const cases: [string, unknown, number, string[]][] = [
    ["not http", { name: "x", base_url: "ftp://files.example.com" }, 422, ["base_url"]],
    ["plain http", { name: "x", base_url: "http://shop.example.com" }, 422, ["base_url"]],
    ["loopback", { name: "x", base_url: "https://127.0.0.1/" }, 422, ["base_url"]],
    ["no URL", { name: "x", base_url: "shop" }, 422, ["base_url"]],
    ["bad secret", { name: "x", base_url: "https://a.example.com", secret: "whsec_tooshort" }, 422, ["secret"]],
    ["header that is ours", { name: "x", base_url: "https://a.example.com", headers: { "Webhook-Id": "1" } }, 422, ["headers.Webhook-Id"]],
    [
      "header with a line break",
      { name: "x", base_url: "https://a.example.com", headers: { "x-a": "1\r\nhost: b" } },
      422,
      ["headers.x-a"],
    ],
    ["endless timeout", { name: "x", base_url: "https://a.example.com", timeout_ms: 30_001 }, 422, ["timeout_ms"]],
    ["missing fields", {}, 400, ["name", "base_url"]],
    ["unknown field", { name: "x", base_url: "https://a.example.com", url: "https://b.example.com" }, 400, ["url"]],
  ];
  it.each(cases)("%s", async (_title, body, status, fields) => {
    const answer = await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body });
    expect({ status: answer.status, fields: answer.body.errors.map((error: { field: string }) => error.field) }).toEqual({
      status,
      fields,
    });
  });

  it("a secret and header values are never repeated", async () => {
    const body = { name: "x", base_url: "https://a.example.com", secret: "whsec_canary", headers: { authorization: 5 } };
    const { text } = await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body });
    expect(text).not.toContain("canary");
  });
});

describe("requests that are no requests", () => {
  it("malformed JSON is 400, also with __proto__", async () => {
    for (const body of ["{", '{"__proto__": {}}', "nul"]) {
      const answer = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
      expect(answer.status).toBe(400);
      expect(answer.body.code).toBe("malformed_request");
    }
  });

  it("deeply nested JSON is refused, and does not exhaust the stack", async () => {
    const body = `{"name":"x","endpoint":"shop","interval_seconds":5,"input":{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}}`;
    const answer = await api.call("POST", "/api/v1/schedules", { key: tenant.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain("nested deeper");
  });

  it("a body above 256 KiB is 413", async () => {
    const answer = await api.call("POST", "/api/v1/schedules", {
      key: tenant.key,
      body: { ...schedule, input: { text: "x".repeat(257 * 1024) } },
    });
    expect([answer.status, answer.body.code]).toEqual([413, "body_too_large"]);
  });

  it("a body that is not JSON is 415", async () => {
    const answer = await api.call("POST", "/api/v1/schedules", {
      key: tenant.key,
      body: "name=x",
      headers: { "content-type": "text/plain" },
    });
    expect([answer.status, answer.body.code]).toEqual([415, "unsupported_media_type"]);
  });

  it("an unknown route is 404, a known one with another method is 405 and says which it takes", async () => {
    const unknown = await api.call("GET", "/api/v1/schedulez", { key: tenant.key });
    expect([unknown.status, unknown.body.code]).toEqual([404, "route_not_found"]);
    const wrong = await api.call("PUT", "/api/v1/schedules/x", { key: tenant.key });
    expect([wrong.status, wrong.body.code, wrong.headers.get("allow")]).toEqual([405, "method_not_allowed", "DELETE, GET, HEAD, PATCH"]);
  });

  it.each(["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor=abc", "state=sleeping", "since=yesterday", "limt=5"])(
    "the query ?%s is 400 and names the parameter",
    async (query) => {
      const { status, body } = await api.call("GET", `/api/v1/runs?${query}`, { key: tenant.key });
      expect([status, body.errors[0].field]).toEqual([400, query.split("=")[0]]);
    },
  );

  it("whatever stands in a path or a query, the answer is never a server error", async () => {
    const nasty = [
      "%00",
      "%ff",
      "%F0%9F%92%A9",
      "'; drop table downbeat.runs; --",
      "a".repeat(3_000),
      "..",
      "%2e%2e%2f",
      "\\",
      "%25",
      "null",
      "[object Object]",
      "0190a1b2-0000-0000-0000-00000000000g",
    ];
    for (const text of nasty) {
      const part = text.startsWith("%") ? text : encodeURIComponent(text);
      const paths = [
        `/tenants/${part}`,
        `/endpoints/${part}`,
        `/schedules/${part}`,
        `/runs/${part}`,
        `/runs?schedule=${part}`,
        `/schedules?name=${part}`,
        `/schedules?cursor=${part}`,
      ];
      for (const path of paths) {
        const { status } = await api.call("GET", `/api/v1${path}`, { key: tenant.key });
        expect({ path, isServerError: status >= 500 }).toEqual({ path, isServerError: false });
      }
    }
  });

  it("a schema that is older than the program is 503, because the migration that mends it may be under way", async () => {
    await api.admin`alter table downbeat.schedule_stats rename to stats_away`;
    const answer = await api.call("GET", "/api/v1/schedules", { key: tenant.key });
    await api.admin`alter table downbeat.stats_away rename to schedule_stats`;
    expect([answer.status, answer.body.code]).toEqual([503, "unavailable"]);
    expect(answer.text).not.toContain("schedule_stats");
  });

  it("an unexpected error is 500 without its detail, and logged once with the request's id", async () => {
    await api.admin`revoke select on downbeat.schedule_stats from downbeat_api`;
    const answer = await api.call("GET", "/api/v1/schedules", { key: tenant.key });
    await api.admin`grant select on downbeat.schedule_stats to downbeat_api`;
    expect([answer.status, answer.body.code]).toEqual([500, "internal"]);
    expect(answer.text).not.toContain("schedule_stats");
    const lines = api.logged.filter((line) => JSON.stringify(line).includes("permission denied for table schedule_stats"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: "error",
      request: answer.body.request_id,
      route: "/api/v1/schedules",
      status: 500,
      tenant: tenant.id,
    });
  });
});
