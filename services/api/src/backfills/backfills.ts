import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf, tenantOf } from "../http/authenticate.ts";
import { backfillParams, backfillPlanSchema, backfillSchema, newBackfill, plannedBackfillSchema } from "./backfill-schemas.ts";
import { cancelBackfill, pauseBackfill, resumeBackfill } from "./change-backfill.ts";
import { createBackfill, dryRunBackfill } from "./create-backfill.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, isUuid, limitQuery, pageOf } from "../http/field-types.ts";
import { problemAnswer } from "../http/problem.ts";
import { findBackfill, readBackfill, readOpenStates, selectBackfills, toBackfill, toPlan } from "./read-backfills.ts";
import { findSchedule, findScheduleOfRuns } from "../schedules/read-schedules.ts";
import { actorOf } from "../schedules/schedule-events.ts";
import { scheduleParams } from "../schedules/schedule-schemas.ts";

const tags = ["backfills"];

/** Runs of past stretches of a schedule, made by the dispatchers a few at a time. */
export function backfillRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/schedules/:schedule/backfills",
    schema: {
      operationId: "createBackfill",
      summary: "Run the occurrences of a past stretch",
      description:
        "Occurrences of the schedule's present rule, oldest first, that have no run that succeeded or is under way. They are late by nature: grace, misfire, overlap and `max_runs` do not apply, they take turns with nothing but themselves, and the target is told `backfilled: true`. At most 100,000 occurrences, on at most 100 days. A paused schedule can be backfilled.",
      tags,
      params: scheduleParams,
      headers: z.object({
        "idempotency-key": z
          .string()
          .regex(/^[\x21-\x7e]{1,200}$/, "must be 1 to 200 visible ASCII characters")
          .optional()
          .describe("A request repeated with the same key answers the backfill that the first one made."),
      }),
      body: newBackfill,
      response: {
        200: backfillPlanSchema.describe("The plan, of a `dry_run`."),
        201: plannedBackfillSchema.describe("The backfill and its plan. `Idempotent-Replayed: true` says that an earlier request made it."),
        default: problemAnswer,
      },
    },
    handler: async (request, reply) => {
      const { id: tenantId } = tenantOf(request.caller);
      const scope = { kind: "tenant" as const, tenantId };
      if (request.body.dry_run) {
        const plan = await tenantTransaction(sql, scope, async (database) =>
          dryRunBackfill(database, await findSchedule(database, request.caller, request.params.schedule), request.body),
        );
        return reply.code(200).send(toPlan(plan));
      }
      const backfill = await tenantTransaction(sql, scope, async (database) => {
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const options = { actor: actorOf(request.caller), idempotencyKey: request.headers["idempotency-key"] };
        const { id: backfillId, plan } = await createBackfill(database, key, request.body, options);
        return { ...(await readBackfill(database, { tenantId, backfillId })), plan: plan && toPlan(plan) };
      });
      if (backfill.plan === null) void reply.header("idempotent-replayed", "true");
      return reply.code(201).header("location", `/api/v1/backfills/${backfill.id}`).send(backfill);
    },
  });

  api.route({
    method: "GET",
    url: "/schedules/:schedule/backfills",
    schema: {
      operationId: "listBackfills",
      summary: "List the backfills of a schedule, newest first",
      tags,
      params: scheduleParams,
      querystring: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      response: { 200: pageOf(backfillSchema).describe("Backfills, newest first."), default: problemAnswer },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const before = parseCursor(cursor, ([at, id]) => parseInstant(at) !== null && isUuid(id));
      const { rows, states } = await tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const { tenantId, scheduleId } = await findScheduleOfRuns(database, request.caller, request.params.schedule);
        let backfills = selectBackfills(database, tenantId).where("backfill.schedule_id", "=", scheduleId);
        if (before !== undefined)
          backfills = backfills.where(fragment<boolean>`(backfill.created_at, backfill.id) < (${new Date(before[0])}, ${before[1]}::uuid)`);
        const found = await backfills
          .orderBy("backfill.created_at", "desc")
          .orderBy("backfill.id", "desc")
          .limit(limit + 1)
          .execute();
        return { rows: found, states: await readOpenStates(database, found) };
      });
      return toPage(
        rows,
        limit,
        (row) => toBackfill(row, states),
        (row) => [row.created_at.toISOString(), row.id],
      );
    },
  });

  api.route({
    method: "GET",
    url: "/backfills/:backfill",
    schema: {
      operationId: "getBackfill",
      summary: "Get a backfill and how far it is",
      tags,
      params: backfillParams,
      response: { 200: backfillSchema.describe("The backfill."), default: problemAnswer },
    },
    handler: (request) =>
      tenantTransaction(sql, scopeOf(request.caller), async (database) =>
        readBackfill(database, await findBackfill(database, request.caller, request.params.backfill)),
      ),
  });

  for (const { action, operationId, summary, description, act } of changes) {
    api.route({
      method: "POST",
      url: `/backfills/:backfill/${action}`,
      schema: {
        operationId,
        summary,
        description,
        tags,
        params: backfillParams,
        body: z.strictObject({}).optional(),
        response: { 200: backfillSchema.describe("The backfill, as it is now."), default: problemAnswer },
      },
      handler: (request) => {
        const { id: tenantId } = tenantOf(request.caller);
        return tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) => {
          const key = await findBackfill(database, request.caller, request.params.backfill);
          await act(database, key, actorOf(request.caller));
          return readBackfill(database, key);
        });
      },
    });
  }
}

const changes = [
  {
    action: "pause",
    operationId: "pauseBackfill",
    summary: "Pause a backfill",
    description: "No further run of it is made; those under way go on. Pausing a paused backfill changes nothing.",
    act: pauseBackfill,
  },
  {
    action: "resume",
    operationId: "resumeBackfill",
    summary: "Resume a paused backfill",
    description: "It goes on where it stood. Resuming a running backfill changes nothing.",
    act: resumeBackfill,
  },
  {
    action: "cancel",
    operationId: "cancelBackfill",
    summary: "Cancel a backfill",
    description:
      "For good: its runs that nobody is calling are withdrawn (`canceled`, reason `backfill_canceled`), those that are being called end by themselves. Canceling a canceled backfill changes nothing.",
    act: cancelBackfill,
  },
] as const;
