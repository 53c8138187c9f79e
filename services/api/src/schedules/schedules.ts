import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { firstDueAfter, nextDue } from "@downbeat/timing/plan-due.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf, tenantOf } from "../http/authenticate.ts";
import { checkSchedule, createSchedule, databaseNow } from "./create-schedule.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, isUuid, limitQuery, pageOf } from "../http/field-types.ts";
import type { ScheduleKey } from "./lock-schedule.ts";
import { problemAnswer } from "../http/problem.ts";
import { findSchedule, isInState, readSchedule, scheduleStates, selectSchedules, toSchedule } from "./read-schedules.ts";
import { impactOf } from "./schedule-impact.ts";
import {
  dryRunQuery,
  dryRunSchema,
  newSchedule,
  scheduleChanges,
  scheduleParams,
  scheduleSchema,
  updatedScheduleSchema,
  writtenScheduleSchema,
} from "./schedule-schemas.ts";
import { toImpact, toWarnings } from "./show-timing.ts";
import { timingOf } from "./stored-rule.ts";
import { updateSchedule } from "./update-schedule.ts";

const tags = ["schedules"];

/** Creating, changing and reading schedules; what else is done to them is in `schedule-actions.ts`. */
export function scheduleRoutes(api: Api, parts: ApiParts): void {
  const { sql, allowPrivateTargets, defaults } = parts;
  api.route({
    method: "POST",
    url: "/schedules",
    schema: {
      operationId: "createSchedule",
      summary: "Create a schedule",
      description: "Refused with 422 when the rule has no occurrence after now.",
      tags,
      querystring: z.strictObject({ dry_run: dryRunQuery }),
      body: newSchedule,
      response: {
        200: dryRunSchema.describe("With `dry_run`: what it would mean."),
        201: writtenScheduleSchema.describe("The schedule, with its first occurrence in `next_run_at`."),
        default: problemAnswer,
      },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request.caller);
      const options = { caller: request.caller, tenant, allowPrivateTargets, defaults };
      const scope = { kind: "tenant", tenantId: tenant.id } as const;
      if (request.query.dry_run === "true") {
        const checked = await tenantTransaction(sql, scope, (database) => checkSchedule(database, request.body, options));
        const { timing, nowAt } = checked;
        const impact = toImpact(impactOf(null, timing.rule, nowAt), 0, nextDue(timing, nowAt));
        return reply.code(200).send({ impact, warnings: toWarnings(timing, nowAt) });
      }
      const schedule = await tenantTransaction(sql, scope, async (database) => {
        const key = { tenantId: tenant.id, scheduleId: await createSchedule(database, request.body, options) };
        return { ...(await readSchedule(database, key)), warnings: await warningsOf(database, key) };
      });
      return reply.code(201).header("location", `/api/v1/schedules/${schedule.id}`).header("etag", etagOf(schedule)).send(schedule);
    },
  });

  api.route({
    method: "PATCH",
    url: "/schedules/:schedule",
    schema: {
      operationId: "updateSchedule",
      summary: "Change a schedule",
      description:
        "A slot that is due already runs as it was; what was claimed ahead of its time is withdrawn and decided about anew. A jump of frequency must be confirmed.",
      tags,
      params: scheduleParams,
      querystring: z.strictObject({ dry_run: dryRunQuery }),
      headers: z.object({
        "if-match": z
          .string()
          .regex(/^(\*|"\d{1,9}")$/, 'must be "*" or the ETag of the schedule, like "3" in quotes')
          .optional()
          .describe("The schedule's `ETag`: the change is refused with 412 when somebody else was first."),
      }),
      body: scheduleChanges,
      response: {
        200: z.union([updatedScheduleSchema, dryRunSchema]).describe("The changed schedule; with `dry_run`, what the change would mean."),
        default: problemAnswer,
      },
    },
    handler: async (request, reply) => {
      const { id: tenantId } = tenantOf(request.caller);
      const isDryRun = request.query.dry_run === "true";
      const ifMatch = request.headers["if-match"];
      const revision = ifMatch === undefined || ifMatch === "*" ? undefined : Number(ifMatch.slice(1, -1));
      const answer = await tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) => {
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const edit = await updateSchedule(database, key, request.body, {
          caller: request.caller,
          allowPrivateTargets,
          defaults,
          isDryRun,
          revision,
        });
        const impact = toImpact(edit.impact, edit.withdrawn, firstDueAfter(edit.timing, edit.impact.from));
        const warnings = toWarnings(edit.timing, edit.impact.from);
        return isDryRun ? { impact, warnings } : { ...(await readSchedule(database, key)), warnings, impact };
      });
      if ("revision" in answer) void reply.header("etag", etagOf(answer));
      return reply.send(answer);
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
    handler: async (request, reply) => {
      const schedule = await tenantTransaction(sql, scopeOf(request.caller), async (database) =>
        readSchedule(database, await findSchedule(database, request.caller, request.params.schedule)),
      );
      return reply.header("etag", etagOf(schedule)).send(schedule);
    },
  });
}

function etagOf({ revision }: { revision: number }): string {
  return `"${revision}"`;
}

/** The warnings of a schedule that was just written. */
async function warningsOf(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey) {
  const row = await database
    .selectFrom("downbeat.schedules")
    .selectAll()
    .where("tenant_id", "=", tenantId)
    .where("id", "=", scheduleId)
    .executeTakeFirstOrThrow();
  return toWarnings(await timingOf(database, row), await databaseNow(database));
}
