import { randomUUID } from "node:crypto";
import { checkTenantHeaders } from "@downbeat/delivery/headers.ts";
import { seal } from "@downbeat/delivery/seal.ts";
import { createSecret, parseSecret } from "@downbeat/delivery/signing-secret.ts";
import { checkTargetUrl } from "@downbeat/delivery/target-url.ts";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf, tenantOf } from "../http/authenticate.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, instantField, isUuid, limitQuery, nameField, pageOf, tenantRef, uuidField } from "../http/field-types.ts";
import { type FieldError, Problem, problemAnswer } from "../http/problem.ts";
import { selectEndpoints, toEndpoint } from "./read-endpoints.ts";

const newEndpoint = z.strictObject({
  name: nameField.describe("Unique within the tenant."),
  base_url: z
    .string()
    .describe("Where runs are sent; a schedule's target path is appended. https, unless the deployment allows private targets."),
  secret: z
    .string()
    .optional()
    .describe("Signing secret, `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks). Default: a new one, shown once in the answer."),
  compat_signatures: z.boolean().default(false).describe("Also send `X-Hub-Signature-256` and `X-Timestamp`. Default false."),
  headers: z
    .record(z.string(), z.string())
    .default({})
    .describe("Sent with every request. Values may be credentials: answers show the names only."),
  timeout_ms: z
    .int("must be a whole number of milliseconds")
    .min(100, "must be at least 100")
    .max(30_000, "must be at most 30000")
    .default(15_000)
    .describe("How long one request may take, headers and body, in ms. Default 15,000, most 30,000."),
});

const endpointSchema = z
  .object({
    id: uuidField.describe("Id of the endpoint."),
    tenant: tenantRef.describe("Whose it is."),
    name: z.string().describe("Unique within the tenant."),
    base_url: z.string().describe("Where runs are sent."),
    compat_signatures: z.boolean().describe("Whether the older signature headers are sent as well."),
    header_names: z.array(z.string()).describe("Names of the headers sent with every request."),
    timeout_ms: z.int().describe("How long one request may take, in ms."),
    secret_fingerprints: z
      .array(z.string().nullable())
      .describe(
        "First 8 hex digits of the SHA-256 of each live signing key, newest first. Null where the deployment's key ring no longer opens the secret.",
      ),
    created_at: instantField.describe("When it was created."),
    updated_at: instantField.describe("When it was last changed."),
  })
  .meta({ id: "Endpoint", description: "A destination: base URL, signing secrets, settings." });

const createdEndpoint = endpointSchema
  .extend({
    secret: z.string().optional().describe("The signing secret that was made. Shown this once; absent when the request brought its own."),
  })
  .meta({ id: "CreatedEndpoint" });

const tags = ["endpoints"];

export function endpointRoutes(api: Api, { sql, keyRing, allowPrivateTargets }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/endpoints",
    schema: {
      operationId: "createEndpoint",
      summary: "Create an endpoint",
      tags,
      body: newEndpoint,
      response: { 201: createdEndpoint.describe("The endpoint."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request.caller);
      const { secret, ...given } = request.body;
      const { errors, baseUrl } = checkEndpoint(request.body, allowPrivateTargets);
      if (errors.length > 0) throw new Problem("invalid_value", { errors });
      const place = { tenantId: tenant.id, endpointId: randomUUID(), version: 1 };
      const newSecret = secret ?? createSecret();
      const { keyId, sealed } = seal(keyRing, place, newSecret);
      const row = await tenantTransaction(sql, { kind: "tenant", tenantId: tenant.id }, async (database) => {
        await database
          .insertInto("downbeat.endpoints")
          .values({ ...given, tenant_id: tenant.id, id: place.endpointId, base_url: baseUrl })
          .execute();
        await database
          .insertInto("downbeat.endpoint_secrets")
          .values({ tenant_id: tenant.id, endpoint_id: place.endpointId, version: place.version, key_id: keyId, sealed })
          .execute();
        return selectEndpoints(database)
          .where("endpoint.tenant_id", "=", tenant.id)
          .where("endpoint.id", "=", place.endpointId)
          .executeTakeFirstOrThrow();
      });
      const answer = { ...toEndpoint(row, keyRing), ...(secret === undefined ? { secret: newSecret } : {}) };
      return reply.code(201).header("location", `/api/v1/endpoints/${row.id}`).send(answer);
    },
  });

  api.route({
    method: "GET",
    url: "/endpoints",
    schema: {
      operationId: "listEndpoints",
      summary: "List endpoints by name",
      tags,
      querystring: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      response: { 200: pageOf(endpointSchema).describe("Endpoints, by name within each tenant."), default: problemAnswer },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const { tenant } = request.caller;
      const after = parseCursor(cursor, ([tenantId]) => isUuid(tenantId));
      const rows = await tenantTransaction(sql, scopeOf(request.caller), (database) => {
        let endpoints = selectEndpoints(database);
        if (tenant !== null) endpoints = endpoints.where("endpoint.tenant_id", "=", tenant.id);
        if (after !== undefined)
          endpoints = endpoints.where(fragment<boolean>`(endpoint.tenant_id, endpoint.name) > (${after[0]}::uuid, ${after[1]})`);
        return endpoints
          .orderBy("endpoint.tenant_id")
          .orderBy("endpoint.name")
          .limit(limit + 1)
          .execute();
      });
      return toPage(
        rows,
        limit,
        (row) => toEndpoint(row, keyRing),
        (row) => [row.tenant_id, row.name],
      );
    },
  });

  api.route({
    method: "GET",
    url: "/endpoints/:endpoint",
    schema: {
      operationId: "getEndpoint",
      summary: "Get an endpoint",
      description: "Never answers a secret, only fingerprints.",
      tags,
      params: z.strictObject({ endpoint: z.string().describe("Id or name.") }),
      response: { 200: endpointSchema.describe("The endpoint."), default: problemAnswer },
    },
    handler: async (request) => {
      const { endpoint } = request.params;
      const { tenant } = request.caller;
      const rows = await tenantTransaction(sql, scopeOf(request.caller), (database) => {
        const found = selectEndpoints(database)
          .where(isUuid(endpoint) ? "endpoint.id" : "endpoint.name", "=", endpoint)
          .limit(2);
        return (tenant === null ? found : found.where("endpoint.tenant_id", "=", tenant.id)).execute();
      });
      const [row, other] = rows;
      if (row === undefined) throw new Problem("not_found", { detail: "There is no such endpoint." });
      // Several tenants have this name: which one is meant, only the caller knows.
      if (other !== undefined) tenantOf(request.caller);
      return toEndpoint(row, keyRing);
    },
  });
}

/** What the schema cannot see: the rules for URLs (S4), secrets (W4) and headers (W7). */
function checkEndpoint(
  { base_url, secret, headers }: z.output<typeof newEndpoint>,
  allowPrivateTargets: boolean,
): { errors: FieldError[]; baseUrl: string } {
  const errors: FieldError[] = [];
  const checked = checkTargetUrl(base_url, { allowPrivateTargets });
  if (!checked.ok) errors.push({ field: "base_url", message: checked.message, value: base_url.slice(0, 200) });
  const parsed = secret === undefined ? undefined : parseSecret(secret);
  if (parsed?.ok === false) errors.push({ field: "secret", message: parsed.message });
  for (const { header, message } of checkTenantHeaders(headers)) errors.push({ field: `headers.${header}`, message });
  // Stored as the parser understood it: what was checked is what will be called.
  return { errors, baseUrl: checked.ok ? checked.url.href : base_url };
}
