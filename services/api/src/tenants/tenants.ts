import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { insertApiKey } from "../http/api-keys.ts";
import { type Caller, scopeOf } from "../http/authenticate.ts";
import { endMaintenance, startMaintenance } from "./change-maintenance.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, limitQuery, pageOf } from "../http/field-types.ts";
import { Problem, problemAnswer } from "../http/problem.ts";
import { findTenant, selectTenants, toTenant } from "./read-tenants.ts";
import { createdTenant, newMaintenance, newTenant, tenantChanges, tenantParams, tenantSchema } from "./tenant-schemas.ts";

const tags = ["tenants"];

export function tenantRoutes(api: Api, { sql }: ApiParts): void {
  /** The tenant, if the caller may see it; somebody else's is one that does not exist. */
  const findVisible = (caller: Caller, idOrSlug: string) =>
    tenantTransaction(sql, scopeOf(caller), (database) => findTenant(database, idOrSlug));
  /** Writes a tenant's row, which the platform alone may, for a caller who was found to have the right. Answers the tenant. */
  const changeTenant = (id: string, change: (database: TenantDatabase) => Promise<unknown>) =>
    tenantTransaction(sql, { kind: "platform" }, async (database) => {
      await change(database);
      return toTenant(await findTenant(database, id));
    });

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
        const { id } = await database.insertInto("downbeat.tenants").values({ slug, name }).returning("id").executeTakeFirstOrThrow();
        const { key } = await insertApiKey(database, { scope: "tenant", tenantId: id, name: `first key of ${slug}` });
        return { ...toTenant(await findTenant(database, id)), api_key: key };
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
      params: tenantParams,
      response: { 200: tenantSchema.describe("The tenant."), default: problemAnswer },
    },
    handler: async (request) => toTenant(await findVisible(request.caller, request.params.tenant)),
  });

  api.route({
    method: "PATCH",
    url: "/tenants/:tenant",
    schema: {
      operationId: "updateTenant",
      summary: "Change a tenant's name and limits",
      description: "Needs an administrator's key.",
      tags,
      params: tenantParams,
      body: tenantChanges,
      response: { 200: tenantSchema.describe("The changed tenant."), default: problemAnswer },
    },
    handler: async (request) => {
      const { name, limits = {} } = request.body;
      const { id } = await findVisible(request.caller, request.params.tenant);
      if (request.caller.scope !== "admin")
        throw new Problem("forbidden", { detail: "Only an administrator's API key may change a tenant's name and limits." });
      return changeTenant(id, (database) =>
        database
          .updateTable("downbeat.tenants")
          .set({ ...limits, name, updated_at: fragment`now()` })
          .where("id", "=", id)
          .execute(),
      );
    },
  });

  api.route({
    method: "POST",
    url: "/tenants/:tenant/maintenance",
    schema: {
      operationId: "startMaintenance",
      summary: "Begin, plan or extend a tenant's maintenance",
      description:
        "Occurrences due in it are skipped with the reason `maintenance`, one row of the ledger for each schedule when it is over; what was due before, retries, backfills and runs asked for by hand are not concerned. While it is on, this changes its end and reason. Up to the look-ahead of the dispatcher (about a minute), what is before a known end may be decided already.",
      tags,
      params: tenantParams,
      body: newMaintenance,
      response: { 200: tenantSchema.describe("The tenant, with its maintenance."), default: problemAnswer },
    },
    handler: async (request) => {
      const { id } = await findVisible(request.caller, request.params.tenant);
      return changeTenant(id, (database) => startMaintenance(database, id, request.body ?? {}));
    },
  });

  api.route({
    method: "DELETE",
    url: "/tenants/:tenant/maintenance",
    schema: {
      operationId: "endMaintenance",
      summary: "End a tenant's maintenance now",
      description: "Or call off one that is planned. Where there is neither, nothing changes.",
      tags,
      params: tenantParams,
      response: { 200: tenantSchema.describe("The tenant, with its maintenance."), default: problemAnswer },
    },
    handler: async (request) => {
      const { id } = await findVisible(request.caller, request.params.tenant);
      return changeTenant(id, (database) => endMaintenance(database, id));
    },
  });
}
