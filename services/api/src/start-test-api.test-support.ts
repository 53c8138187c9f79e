import { createLog } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { createApiKey } from "./http/api-keys.ts";
import type { ApiConfig } from "./config.ts";
import { runApi } from "./run.ts";

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The JSON body; tests state what they expect of it. */
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
}

export interface CallOptions {
  key?: string;
  tenant?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface TestTenant {
  id: string;
  slug: string;
  key: string;
}

export interface TestApi {
  url: string;
  config: ApiConfig;
  database: TestDatabase;
  admin: Sql;
  adminKey: string;
  /** The log, one object a line. */
  logged: Record<string, unknown>[];
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** A tenant with an endpoint named `shop`. */
  addTenant(slug: string): Promise<TestTenant>;
  close(): Promise<void>;
}

export const testKeyRing = `k1:${Buffer.alloc(32, 7).toString("base64")}`;

/** The real API on a free port, over a database of its own. */
export async function startTestApi(overrides: Partial<ApiConfig> = {}): Promise<TestApi> {
  const database = await createTestDatabase();
  const logged: Record<string, unknown>[] = [];
  const log = createLog("api", "debug", { write: (line) => void logged.push(JSON.parse(line) as Record<string, unknown>) });
  const config: ApiConfig = {
    DATABASE_URL: database.url,
    API_HOST: "127.0.0.1",
    API_PORT: 0,
    DOWNBEAT_SECRET_KEYS: testKeyRing,
    ALLOW_PRIVATE_TARGETS: true,
    // Tests want to see several occurrences; what tenants may ask for has its own test.
    TENANT_INTERVAL_SECONDS_MIN: 1,
    LOG_LEVEL: "debug",
    AWS_REGION: "us-east-1",
    METRICS_HOST: "127.0.0.1",
    ...overrides,
  };
  const service = await runApi(config, { log });
  const { key: adminKey } = await createApiKey(database.admin, { scope: "admin", name: "test administrator", env: "test" });
  const call = (method: string, path: string, options: CallOptions = {}) => callApi(service.url, method, path, options);
  return {
    url: service.url,
    config,
    database,
    admin: database.admin,
    adminKey,
    logged,
    call,
    async addTenant(slug) {
      const { body } = await call("POST", "/api/v1/tenants", { key: adminKey, body: { slug } });
      await call("POST", "/api/v1/endpoints", { key: body.api_key, body: { name: "shop", base_url: "http://127.0.0.1:9/hooks" } });
      return { id: body.id, slug, key: body.api_key };
    },
    async close() {
      await service.close();
      await database.drop();
    },
  };
}

async function callApi(url: string, method: string, path: string, { key, tenant, body, headers = {} }: CallOptions): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(tenant === undefined ? {} : { "x-tenant": tenant }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, headers: response.headers, text, body: isJson && text !== "" ? JSON.parse(text) : undefined };
}
