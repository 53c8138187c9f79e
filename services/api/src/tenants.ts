import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import * as z from "zod";
import type { Api, ApiParts } from "./api.ts";
import { insertApiKey } from "./api-keys.ts";
import { scopeOf } from "./authenticate.ts";
import { parseCursor, toPage } from "./cursor.ts";
import { cursorQuery, instantField, isUuid, limitQuery, nameField, pageOf, uuidField } from "./field-types.ts";
import { Problem, problemAnswer } from "./problem.ts";

const slugField = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 lower-case letters, digits and inner hyphens")
  .refine((slug) => !isUuid(slug), "must not have the form of an id");

const newTenant = z.strictObject({
  slug: slugField.describe("Short unique name for URLs and the `X-Tenant` header: lower-case letters, digits, hyphens."),
  name: nameField.optional().describe("Name for people. Default: the slug."),
});

const tenantSchema = z
  .object({
    id: uuidField.describe("Id of the tenant."),
    slug: z.string().describe("Short unique name."),
    name: z.string().describe("Name for people."),
    created_at: instantField.describe("When it was created."),
  })
  .meta({ id: "Tenant", description: "Whom schedules, endpoints and runs belong to." });

const createdTenant = tenantSchema
  .extend({ api_key: z.string().describe("A key with scope `tenant`. Shown this once: only its hash is stored.") })
  .meta({ id: "CreatedTenant" });

const tags = ["tenants"];

export function tenantRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/tenants",
    schema: {
      operationId: "createTenant",
      summary: "Create a tenant and its first API key",
      description: "Needs an administrator's key.",
      tags,
      body: newTenant,
      response: { 201: createdTenant.describe("The tenant and its key."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      const { slug, name = slug } = request.body;
      if (request.caller.scope !== "admin")
        throw new Problem("forbidden", { detail: "Only an administrator's API key may create tenants." });
      const created = await tenantTransaction(sql, { kind: "platform" }, async (database) => {
        const tenant = await database
          .insertInto("downbeat.tenants")
          .values({ slug, name })
          .returning(tenantColumns)
          .executeTakeFirstOrThrow();
        const { key } = await insertApiKey(database, { scope: "tenant", tenantId: tenant.id, name: `first key of ${slug}` });
        return { ...toTenant(tenant), api_key: key };
      });
      return reply.code(201).header("location", `/api/v1/tenants/${created.id}`).send(created);
    },
  });

  api.route({
    method: "GET",
    url: "/tenants",
    schema: {
      operationId: "listTenants",
      summary: "List tenants by slug",
      description: "A tenant's key sees its own tenant only.",
      tags,
      querystring: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      response: { 200: pageOf(tenantSchema).describe("Tenants, by slug."), default: problemAnswer },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const after = parseCursor(cursor, () => true)?.[0] ?? "";
      const rows = await tenantTransaction(sql, scopeOf(request.caller), (database) =>
        selectTenants(database)
          .where("slug", ">", after)
          .orderBy("slug")
          .limit(limit + 1)
          .execute(),
      );
      return toPage(rows, limit, toTenant, (row) => [row.slug, row.id]);
    },
  });

  api.route({
    method: "GET",
    url: "/tenants/:tenant",
    schema: {
      operationId: "getTenant",
      summary: "Get a tenant",
      tags,
      params: z.strictObject({ tenant: z.string().describe("Id or slug.") }),
      response: { 200: tenantSchema.describe("The tenant."), default: problemAnswer },
    },
    handler: async (request) => {
      const { tenant } = request.params;
      const row = await tenantTransaction(sql, scopeOf(request.caller), (database) =>
        selectTenants(database)
          .where(isUuid(tenant) ? "id" : "slug", "=", tenant)
          .executeTakeFirst(),
      );
      if (row === undefined) throw new Problem("not_found", { detail: "There is no such tenant." });
      return toTenant(row);
    },
  });
}

const tenantColumns = ["id", "slug", "name", "created_at"] as const;

function selectTenants(database: TenantDatabase) {
  return database.selectFrom("downbeat.tenants").select(tenantColumns);
}

function toTenant(row: { id: string; slug: string; name: string; created_at: Date }) {
  return { id: row.id, slug: row.slug, name: row.name, created_at: row.created_at.toISOString() };
}
