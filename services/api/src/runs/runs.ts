import { runStates } from "@downbeat/store/run-states.ts";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf } from "../http/authenticate.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, instantQuery, isUuid, limitQuery, pageOf } from "../http/field-types.ts";
import { listRuns } from "./list-runs.ts";
import { problemAnswer } from "../http/problem.ts";
import { findRun, runNotFound, toRun } from "./read-runs.ts";
import { findScheduleOfRuns } from "../schedules/read-schedules.ts";
import { runDetailSchema, runSchema } from "./run-schemas.ts";
import { readRunDetail } from "./run-timeline.ts";

const tags = ["runs"];

export function runRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/runs",
    schema: {
      operationId: "listRuns",
      summary: "List runs, newest first",
      tags,
      querystring: z.strictObject({
        schedule: z.string().optional().describe("Only runs of this schedule: id or name."),
        state: z.enum(runStates).optional().describe("Only runs in this state."),
        since: instantQuery.optional().describe("Only runs with `scheduled_for` at or after this instant."),
        until: instantQuery.optional().describe("Only runs with `scheduled_for` before this instant."),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      response: { 200: pageOf(runSchema).describe("Runs, by `scheduled_for`, newest first."), default: problemAnswer },
    },
    handler: async (request) => {
      const { schedule, state, since, until, limit, cursor } = request.query;
      const before = parseCursor(cursor, ([id]) => isUuid(id));
      const rows = await tenantTransaction(sql, scopeOf(request.caller), async (database) =>
        listRuns(database, {
          tenantId: request.caller.tenant?.id,
          schedule: schedule === undefined ? undefined : await findScheduleOfRuns(database, request.caller, schedule),
          state,
          since: toDate(since),
          until: toDate(until),
          beforeId: before?.[0],
          rowsMax: limit + 1,
        }),
      );
      return toPage(rows, limit, toRun, (row) => [row.id, ""]);
    },
  });

  api.route({
    method: "GET",
    url: "/runs/:run",
    schema: {
      operationId: "getRun",
      summary: "Get a run with its attempts and its life",
      tags,
      params: z.strictObject({ run: z.string().describe("Id of the run.") }),
      response: { 200: runDetailSchema.describe("The run."), default: problemAnswer },
    },
    handler: (request) => {
      const runId = request.params.run;
      if (!isUuid(runId)) throw runNotFound();
      return tenantTransaction(sql, scopeOf(request.caller), async (database) =>
        readRunDetail(database, await findRun(database, { tenantId: request.caller.tenant?.id, runId })),
      );
    },
  });
}

function toDate(text: string | undefined): Date | undefined {
  const instant = text === undefined ? null : parseInstant(text);
  return instant === null ? undefined : new Date(instant);
}
