import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { misfires } from "@downbeat/timing/plan-due.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { tenantOf } from "../http/authenticate.ts";
import { instantQuery } from "../http/field-types.ts";
import { problemAnswer } from "../http/problem.ts";
import { readRun } from "../runs/read-runs.ts";
import { findSchedule, readSchedule } from "./read-schedules.ts";
import { resumeSchedule } from "./resume-schedule.ts";
import { runNow } from "./run-now.ts";
import { runSchema } from "../runs/run-schemas.ts";
import { actorOf } from "./schedule-events.ts";
import { pausedScheduleSchema, resumedScheduleSchema, scheduleParams } from "./schedule-schemas.ts";
import { deleteSchedule, pauseSchedule } from "./withdraw-schedule.ts";

const tags = ["schedules"];

/** What is done to a schedule, each in one transaction. */
export function scheduleActionRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/schedules/:schedule/pause",
    schema: {
      operationId: "pauseSchedule",
      summary: "Pause a schedule",
      description:
        "Nothing of it runs from now on; a slot that is already due still does. Pausing a paused schedule changes nothing, unless `until` is given.",
      tags,
      params: scheduleParams,
      body: z
        .strictObject({
          reason: z.string().max(500).optional().describe("Why, for whoever looks at it later."),
          until: instantQuery.optional().describe("When the pause ends by itself. Default: when somebody resumes the schedule."),
        })
        .optional(),
      response: { 200: pausedScheduleSchema.describe("The paused schedule, and what the pause costs."), default: problemAnswer },
    },
    handler: (request) => {
      const { id: tenantId } = tenantOf(request.caller);
      return tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) => {
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const { reason, until } = request.body ?? {};
        const effect = await pauseSchedule(database, key, {
          actor: actorOf(request.caller),
          reason,
          until: until === undefined ? undefined : new Date(until),
        });
        const { onResume, perDay, ...counts } = effect;
        const pause = { ...counts, until: effect.until?.toISOString() ?? null, on_resume: onResume, per_day: perDay };
        return { ...(await readSchedule(database, key)), pause };
      });
    },
  });

  api.route({
    method: "POST",
    url: "/schedules/:schedule/resume",
    schema: {
      operationId: "resumeSchedule",
      summary: "Resume a paused schedule",
      description:
        "It goes on with its next occurrence after now. What fell into the pause is skipped, or made up for as `on_resume` says. Resuming an active schedule changes nothing.",
      tags,
      params: scheduleParams,
      body: z
        .strictObject({
          on_resume: z
            .enum(misfires)
            .optional()
            .describe("What runs of the occurrences that fell into the pause. Default: as the schedule says."),
        })
        .optional(),
      response: { 200: resumedScheduleSchema.describe("The active schedule, and what became of the pause."), default: problemAnswer },
    },
    handler: (request) => {
      const { id: tenantId } = tenantOf(request.caller);
      return tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) => {
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const resume = await resumeSchedule(database, key, { actor: actorOf(request.caller), onResume: request.body?.on_resume });
        return { ...(await readSchedule(database, key)), resume };
      });
    },
  });

  api.route({
    method: "DELETE",
    url: "/schedules/:schedule",
    schema: {
      operationId: "deleteSchedule",
      summary: "Delete a schedule",
      description: "A slot that is already due still runs. Its runs stay in the ledger; its name is free again.",
      tags,
      params: scheduleParams,
      response: { 204: z.null().describe("It is deleted."), default: problemAnswer },
    },
    handler: async (request, reply) => {
      const { id: tenantId } = tenantOf(request.caller);
      await tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) =>
        deleteSchedule(database, await findSchedule(database, request.caller, request.params.schedule), actorOf(request.caller)),
      );
      return reply.code(204).send(null);
    },
  });

  api.route({
    method: "POST",
    url: "/schedules/:schedule/run",
    schema: {
      operationId: "runScheduleNow",
      summary: "Run a schedule now",
      description: "Makes a run that is due at once, outside of the rule; also while the schedule is paused.",
      tags,
      params: scheduleParams,
      headers: z.object({
        "idempotency-key": z
          .string()
          .regex(/^[\x21-\x7e]{1,200}$/, "must be 1 to 200 visible ASCII characters")
          .optional()
          .describe("A request repeated with the same key within 24 hours answers the run that the first one made."),
      }),
      body: z.strictObject({}).optional(),
      response: {
        202: runSchema.describe("The run. `Idempotent-Replayed: true` says that an earlier request made it."),
        default: problemAnswer,
      },
    },
    handler: async (request, reply) => {
      const { id: tenantId } = tenantOf(request.caller);
      const { run, isRepeated } = await tenantTransaction(sql, { kind: "tenant", tenantId }, async (database) => {
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const requested = await runNow(database, key, request.headers["idempotency-key"]);
        return { run: await readRun(database, { tenantId, runId: requested.runId }), isRepeated: requested.isRepeated };
      });
      if (isRepeated) void reply.header("idempotent-replayed", "true");
      return reply.code(202).header("location", `/api/v1/runs/${run.id}`).send(run);
    },
  });
}
