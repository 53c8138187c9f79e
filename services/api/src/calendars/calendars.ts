import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf } from "../http/authenticate.ts";
import {
  calendarChanges,
  calendarDetailSchema,
  calendarDryRunSchema,
  calendarParams,
  calendarSchema,
  changedCalendarSchema,
  newCalendar,
} from "./calendar-schemas.ts";
import { type CalendarChange, changeCalendar, deleteCalendar } from "./change-calendar.ts";
import { checkCalendar } from "./check-calendar.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, isUuid, limitQuery, pageOf } from "../http/field-types.ts";
import { problemAnswer } from "../http/problem.ts";
import { countUsers, entriesColumn, findCalendar, findOwnCalendar, ownerOf, selectCalendars, toCalendarAnswer } from "./read-calendars.ts";
import type { ScheduleRow } from "../schedules/read-schedules.ts";
import { dryRunQuery } from "../schedules/schedule-schemas.ts";
import { toText } from "../schedules/show-timing.ts";

const tags = ["calendars"];

/** Sorts the installation's calendars before those of tenants. */
const noTenantId = "00000000-0000-0000-0000-000000000000";

export function calendarRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/calendars",
    schema: {
      operationId: "createCalendar",
      summary: "Create a calendar",
      description: "An administrator who names no tenant creates one of the installation, which every tenant may use.",
      tags,
      body: newCalendar,
      response: { 201: calendarSchema.describe("The calendar."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      const { name, kind, timezone, entries } = request.body;
      checkCalendar(request.body);
      const created = await tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const { id } = await database
          .insertInto("downbeat.calendars")
          .values({ tenant_id: ownerOf(request.caller), name, kind, timezone, entries: entriesColumn(entries) })
          .returning("id")
          .executeTakeFirstOrThrow();
        return toCalendarAnswer(await selectCalendars(database).where("calendar.id", "=", id).executeTakeFirstOrThrow());
      });
      return reply.code(201).header("location", `/api/v1/calendars/${created.id}`).send(created);
    },
  });

  api.route({
    method: "GET",
    url: "/calendars",
    schema: {
      operationId: "listCalendars",
      summary: "List calendars by name",
      description: "The installation's and the tenant's own. An administrator who names no tenant sees those of every tenant.",
      tags,
      querystring: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      response: {
        200: pageOf(calendarSchema).describe("Calendars, by name: first the installation's, then each tenant's."),
        default: problemAnswer,
      },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const { tenant } = request.caller;
      const after = parseCursor(cursor, ([tenantId]) => isUuid(tenantId));
      const owner = fragment<string>`coalesce(calendar.tenant_id, ${noTenantId}::uuid)`;
      const rows = await tenantTransaction(sql, scopeOf(request.caller), (database) => {
        let calendars = selectCalendars(database);
        if (tenant !== null)
          calendars = calendars.where((where) =>
            where.or([where("calendar.tenant_id", "=", tenant.id), where("calendar.tenant_id", "is", null)]),
          );
        if (after !== undefined)
          calendars = calendars.where(fragment<boolean>`(${owner}, calendar.name) > (${after[0]}::uuid, ${after[1]})`);
        return calendars
          .orderBy(owner)
          .orderBy("calendar.name")
          .limit(limit + 1)
          .execute();
      });
      return toPage(rows, limit, toCalendarAnswer, (row) => [row.tenant_id ?? noTenantId, row.name]);
    },
  });

  api.route({
    method: "GET",
    url: "/calendars/:calendar",
    schema: {
      operationId: "getCalendar",
      summary: "Get a calendar",
      description: "Of a name that both the tenant and the installation have, the tenant's own.",
      tags,
      params: calendarParams,
      response: { 200: calendarDetailSchema.describe("The calendar."), default: problemAnswer },
    },
    handler: (request) =>
      tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const row = await findCalendar(database, request.caller, request.params.calendar);
        return { ...toCalendarAnswer(row), schedules: await countUsers(database, row) };
      }),
  });

  api.route({
    method: "PATCH",
    url: "/calendars/:calendar",
    schema: {
      operationId: "updateCalendar",
      summary: "Change a calendar",
      description:
        "New entries, another kind or time zone are an edit of every schedule that uses it, at most 1,000, all in one transaction: what is due already runs as it was, what is to come is computed anew. The installation's calendars are an administrator's to change, with a request that names no tenant.",
      tags,
      params: calendarParams,
      querystring: z.strictObject({ dry_run: dryRunQuery }),
      body: calendarChanges,
      response: {
        200: z
          .union([changedCalendarSchema, calendarDryRunSchema])
          .describe("The changed calendar and what became of the schedules; with `dry_run`, what would become of them."),
        default: problemAnswer,
      },
    },
    handler: (request) => {
      const isDryRun = request.query.dry_run === "true";
      return tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const { id } = await findOwnCalendar(database, request.caller, request.params.calendar);
        const change = toChangeAnswer(await changeCalendar(database, id, request.body, { caller: request.caller, isDryRun }));
        if (isDryRun) return { change };
        return { ...toCalendarAnswer(await selectCalendars(database).where("calendar.id", "=", id).executeTakeFirstOrThrow()), change };
      });
    },
  });

  api.route({
    method: "DELETE",
    url: "/calendars/:calendar",
    schema: {
      operationId: "deleteCalendar",
      summary: "Delete a calendar",
      description: "Refused with 409 as long as a schedule uses it.",
      tags,
      params: calendarParams,
      response: { 204: z.null().describe("It is deleted."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      await tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const { id } = await findOwnCalendar(database, request.caller, request.params.calendar);
        await deleteCalendar(database, id);
      });
      return reply.code(204).send(null);
    },
  });
}

function toChangeAnswer({ effects, withdrawn }: CalendarChange) {
  return {
    recomputed: effects.length,
    withdrawn,
    schedules: effects.map(({ schedule, nextAfter }) => ({
      ...toRef(schedule),
      next_run_at_before: schedule.next_run_at?.toISOString() ?? null,
      next_run_at_after: nextAfter === null ? null : toText(nextAfter.dueAt),
    })),
    completed: effects.filter(({ isCompleted }) => isCompleted).map(({ schedule }) => toRef(schedule)),
  };
}

function toRef(schedule: ScheduleRow) {
  return { id: schedule.id, tenant: { id: schedule.tenant_id, slug: schedule.tenant_slug }, name: schedule.name };
}
