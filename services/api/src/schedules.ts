import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "./api.ts";
import { scopeOf, tenantOf } from "./authenticate.ts";
import { createSchedule } from "./create-schedule.ts";
import { parseCursor, toPage } from "./cursor.ts";
import { cursorQuery, isUuid, limitQuery, pageOf } from "./field-types.ts";
import { problemAnswer } from "./problem.ts";
import { findSchedule, isInState, readSchedule, scheduleStates, selectSchedules, toSchedule } from "./read-schedules.ts";
import { newSchedule, scheduleParams, scheduleSchema } from "./schedule-schemas.ts";

const tags = ["schedules"];

/** Creating and reading schedules; what changes them is in `schedule-actions.ts`. */
export function scheduleRoutes(api: Api, { sql, allowPrivateTargets }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/schedules",
    schema: {
      operationId: "createSchedule",
      summary: "Create a schedule",
      description: "Refused with 422 when the rule has no occurrence after now.",
      tags,
      body: newSchedule,
      response: { 201: scheduleSchema.describe("The schedule, with its first occurrence in `next_run_at`."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request.caller);
      const schedule = await tenantTransaction(sql, { kind: "tenant", tenantId: tenant.id }, async (database) => {
        const scheduleId = await createSchedule(database, request.body, { tenant, allowPrivateTargets });
        return readSchedule(database, { tenantId: tenant.id, scheduleId });
      });
      return reply.code(201).header("location", `/api/v1/schedules/${schedule.id}`).send(schedule);
    },
  });

  api.route({
    method: "GET",
    url: "/schedules",
    schema: {
      operationId: "listSchedules",
      summary: "List schedules by name",
      tags,
      querystring: z.strictObject({
        name: z.string().min(1).max(120).optional().describe("Only schedules whose name contains this text, in whatever case."),
        state: z.enum(scheduleStates).optional().describe("Only schedules in this state."),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      response: { 200: pageOf(scheduleSchema).describe("Schedules, by name within each tenant."), default: problemAnswer },
    },
    handler: async (request) => {
      const { name, state, limit, cursor } = request.query;
      const after = parseCursor(cursor, ([tenantId]) => isUuid(tenantId));
      const rows = await tenantTransaction(sql, scopeOf(request.caller), (database) => {
        let schedules = selectSchedules(database, request.caller.tenant?.id);
        if (name !== undefined) schedules = schedules.where("rule.name", "ilike", `%${name.replaceAll(/[\\%_]/g, "\\$&")}%`);
        if (state !== undefined) schedules = schedules.where(isInState(state));
        if (after !== undefined)
          schedules = schedules.where(fragment<boolean>`(rule.tenant_id, rule.name) > (${after[0]}::uuid, ${after[1]})`);
        return schedules
          .orderBy("rule.tenant_id")
          .orderBy("rule.name")
          .limit(limit + 1)
          .execute();
      });
      return toPage(rows, limit, toSchedule, (row) => [row.tenant_id, row.name]);
    },
  });

  api.route({
    method: "GET",
    url: "/schedules/:schedule",
    schema: {
      operationId: "getSchedule",
      summary: "Get a schedule",
      tags,
      params: scheduleParams,
      response: { 200: scheduleSchema.describe("The schedule."), default: problemAnswer },
    },
    handler: (request) =>
      tenantTransaction(sql, scopeOf(request.caller), async (database) =>
        readSchedule(database, await findSchedule(database, request.caller, request.params.schedule)),
      ),
  });
}
