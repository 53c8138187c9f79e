import { connect } from "@downbeat/store/connect.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { parseKeyRing } from "@downbeat/delivery/seal.ts";
import { createServer } from "./create-server.ts";
import { version } from "./version.ts";

/** What the generated document cannot know from the routes. */
export function openApiBase(programVersion: string) {
  return {
    openapi: "3.1.0",
    info: {
      title: "Downbeat",
      version: programVersion,
      description: [
        "Schedules that fire on time, and a ledger that proves it.",
        "Every request but `/health` carries `Authorization: Bearer sk_…`. An administrator's key names the tenant it speaks for in `X-Tenant` (slug or id); writes need it.",
        "Errors are `application/problem+json` with a stable `code`: 400 when the request does not have the shape the route takes, 422 when a value is not acceptable.",
        "Lists are cut into pages: give `next_cursor` back as `cursor`.",
      ].join("\n\n"),
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: [
      { name: "schedules", description: "The rule: when, whom, what." },
      { name: "backfills", description: "Runs of a past stretch of a schedule." },
      { name: "runs", description: "The ledger: what ran, what did not, and why." },
      { name: "endpoints", description: "Destinations, with signing secrets." },
      { name: "calendars", description: "Days, times and periods that schedules are held to." },
      { name: "tenants", description: "Whom everything belongs to." },
      { name: "audit", description: "Whether the ledger has every occurrence." },
      { name: "health", description: "For probes." },
    ],
    components: { securitySchemes: { apiKey: { type: "http" as const, scheme: "bearer", bearerFormat: "sk_<env>_<id>_<secret>" } } },
    security: [{ apiKey: [] }],
  };
}

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
type JsonObject = { readonly [key: string]: Json };

/**
 * Straightens what the generators cannot know: components nobody refers to are left out, a body without required fields may itself be left out, and "any integer" needs no
 * bounds.
 */
export function tidyDocument<Document extends object>(document: Document): Document {
  const tidied = tidy(document as unknown as JsonObject) as JsonObject & { components: JsonObject & { schemas: JsonObject } };
  const { schemas } = tidied.components;
  const used = new Set<string>();
  const collect = (text: string): void => {
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name === undefined || used.has(name)) continue;
      used.add(name);
      collect(JSON.stringify(schemas[name]));
    }
  };
  collect(JSON.stringify(tidied["paths"]));
  const kept = Object.fromEntries([...used].sort().map((name) => [name, schemas[name] ?? {}]));
  return { ...tidied, components: { ...tidied.components, schemas: kept } } as unknown as Document;
}

function tidy(value: Json, key = ""): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => tidy(item));
  const isBound = ([name, bound]: [string, Json]) =>
    (name === "minimum" && bound === Number.MIN_SAFE_INTEGER) || (name === "maximum" && bound === Number.MAX_SAFE_INTEGER);
  const entries = Object.entries(value as JsonObject).filter((entry) => !isBound(entry));
  const tidied = Object.fromEntries(entries.map(([name, part]) => [name, tidy(part, name)]));
  return key === "requestBody" && !JSON.stringify(tidied).includes('"required":[') ? { ...tidied, required: false } : tidied;
}

/** The OpenAPI 3.1 document of this version. Needs no database: the pool is never used. */
export async function openApiDocument(): Promise<object> {
  const sql = connect({ url: "postgres://nobody@127.0.0.1:1/none", connectionsMax: 1, applicationName: "downbeat-openapi" });
  const keyRing = parseKeyRing(`none:${Buffer.alloc(32).toString("base64")}`);
  const server = await createServer({
    sql,
    keyRing,
    allowPrivateTargets: false,
    defaults: { graceSeconds: 86_400, intervalSecondsMin: 60 },
    version,
    log: createLog("api", "fatal"),
  });
  await server.ready();
  const document = server.swagger();
  await server.close();
  return document;
}
