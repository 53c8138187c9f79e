import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import { preview } from "@downbeat/timing/preview.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf, tenantOf } from "../http/authenticate.ts";
import { databaseNow } from "./create-schedule.ts";
import { instantField, instantQuery } from "../http/field-types.ts";
import { listRuns } from "../runs/list-runs.ts";
import { Problem, problemAnswer } from "../http/problem.ts";
import { toRun } from "../runs/read-runs.ts";
import { findSchedule } from "./read-schedules.ts";
import { readGivenTiming } from "./read-given-timing.ts";
import { runSchema } from "../runs/run-schemas.ts";
import { dstWarningSchema, scheduleParams, timingBody } from "./schedule-schemas.ts";
import { toPreview, toWarnings } from "./show-timing.ts";
import { timingOf } from "./stored-rule.ts";
import { timingPolicyOf } from "./timing-policy.ts";

const tags = ["schedules"];

const countQuery = z.coerce
  .number("must be a whole number from 1 to 1000")
  .int("must be a whole number from 1 to 1000")
  .min(1, "must be at least 1")
  .max(1_000, "must be at most 1000");

const previewSchema = z
  .object({
    occurrences: z
      .array(
        z.object({
          at: instantField.describe("The occurrence."),
          due_at: instantField.describe("When it starts; later than `at` where the schedule is spread."),
          local: z.string().describe("What the clocks of the schedule's zone show at `at`, with the offset."),
          dst: z
            .enum(["moved_out_of_gap", "first_of_two", "second_of_two"])
            .nullable()
            .describe("Where the clocks change: its slot was skipped by them and moved here, or shows twice and this is one of the two."),
          slot: z.string().nullable().describe("The wall time that the rule names, where it is not the one `local` shows."),
        }),
      )
      .describe("What is to come, in order."),
    holes: z
      .array(
        z.object({
          at: instantField.describe("The instant that the rule names; for a skipped slot, when the clocks change."),
          local: z.string().describe("What the clocks show then."),
          reason: z.enum(["calendar", "dst_gap"]).describe("Why nothing runs."),
          detail: z.string().describe("The calendar, or what the clocks do."),
        }),
      )
      .describe("What is left out between them."),
    is_cut: z.boolean().describe("True when there are more holes than are shown."),
    warnings: z.array(dstWarningSchema).describe("What the next two clock changes of its zone do to it."),
  })
  .meta({ id: "Preview", description: "The occurrences of a rule that are to come." });

export const storedPreviewSchema = previewSchema
  .extend({ previous: z.array(runSchema).describe("The last runs up to `from`, newest first.") })
  .meta({ id: "StoredPreview" });

/** `from` counts itself: an occurrence exactly then is previewed. */
function justBefore(from: string): number {
  return (parseInstant(from) ?? 0) - 1;
}

/** What can be asked about a rule, stored or not. Nothing here writes. */
export function timingQuestionRoutes(api: Api, { sql, defaults }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/schedules/:schedule/preview",
    schema: {
      operationId: "previewSchedule",
      summary: "Preview a schedule",
      description: "Its next occurrences by the rule alone, also while it is paused, and its last runs with what became of them.",
      tags,
      params: scheduleParams,
      querystring: z.strictObject({
        from: instantQuery.optional().describe("The first instant that counts. Default: now, exclusive."),
        count: countQuery.default(10).describe("How many. Default 10, most 1,000."),
        previous: countQuery.min(0).default(5).describe("How many of the last runs. Default 5."),
      }),
      response: {
        200: previewSchema
          .extend({ previous: z.array(runSchema).describe("The last runs up to `from`, newest first.") })
          .describe("The preview."),
        default: problemAnswer,
      },
    },
    handler: (request) =>
      tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const { from, count, previous } = request.query;
        const key = await findSchedule(database, request.caller, request.params.schedule);
        const row = await database
          .selectFrom("downbeat.schedules")
          .selectAll()
          .where("tenant_id", "=", key.tenantId)
          .where("id", "=", key.scheduleId)
          .executeTakeFirstOrThrow();
        const timing = await timingOf(database, row);
        const after = from === undefined ? await databaseNow(database) : justBefore(from);
        const runs =
          previous === 0
            ? []
            : await listRuns(database, {
                tenantId: key.tenantId,
                schedule: key,
                state: undefined,
                since: undefined,
                until: new Date(after + 1),
                beforeId: undefined,
                rowsMax: previous,
              });
        return { ...toPreview(preview(timing, after, count)), warnings: toWarnings(timing, after), previous: runs.map(toRun) };
      }),
  });

  api.route({
    method: "POST",
    url: "/schedules/preview",
    schema: {
      operationId: "previewRule",
      summary: "Preview a rule that is not stored",
      tags,
      querystring: z.strictObject({
        from: instantQuery.optional().describe("The first instant that counts. Default: now, exclusive."),
        count: countQuery.default(10).describe("How many. Default 10, most 1,000."),
      }),
      body: timingBody,
      response: {
        200: previewSchema.describe("The preview. A spread depends on the schedule's id, so it is shown as if there were none."),
        default: problemAnswer,
      },
    },
    handler: (request) => {
      const tenant = tenantOf(request.caller);
      return tenantTransaction(sql, { kind: "tenant", tenantId: tenant.id }, async (database) => {
        const { from, count } = request.query;
        const nowAt = from === undefined ? await databaseNow(database) : justBefore(from);
        const policy = { ...(await timingPolicyOf(database, request.caller, tenant.id, defaults)), intervalSecondsMin: 1 };
        const { errors, read } = await readGivenTiming(database, request.body, { scheduleId: "", nowAt, policy });
        if (read === undefined) throw new Problem("invalid_value", { errors });
        const timing = { ...read.timing, spread: null };
        return { ...toPreview(preview(timing, nowAt, count)), warnings: toWarnings(timing, nowAt) };
      });
    },
  });

  api.route({
    method: "POST",
    url: "/schedules/validate",
    schema: {
      operationId: "validateRule",
      summary: "Check a rule",
      description: "Answers 200 also for a rule that is refused: `valid` says so, and `errors` has what creating it would answer.",
      tags,
      body: timingBody,
      response: {
        200: z
          .object({
            valid: z.boolean().describe("Whether a schedule with this rule can be created now."),
            errors: z
              .array(
                z.object({
                  field: z.string().describe("The field at fault."),
                  message: z.string().describe("What is wrong with it; read it after the field's name."),
                  value: z.unknown().optional().describe("What was given."),
                }),
              )
              .describe("Empty for a valid rule."),
            cron_expression: z.string().nullable().describe("The expression; of a preset, what it means."),
            first_at: instantField.nullable().describe("Its first occurrence."),
            warnings: z.array(dstWarningSchema).describe("What the next two clock changes of its zone do to it."),
          })
          .meta({ id: "RuleCheck" })
          .describe("What was found."),
        default: problemAnswer,
      },
    },
    // Fields of the wrong type are an answer here too, not a refusal of the question.
    attachValidation: true,
    handler: (request) => {
      const tenant = tenantOf(request.caller);
      if (request.validationError !== undefined) return refusedRule(request.validationError);
      return tenantTransaction(sql, { kind: "tenant", tenantId: tenant.id }, async (database) => {
        const nowAt = await databaseNow(database);
        const policy = await timingPolicyOf(database, request.caller, tenant.id, defaults);
        const { errors, read } = await readGivenTiming(database, request.body, { scheduleId: "", nowAt, policy });
        if (read === undefined) return refusedRule(new Problem("invalid_value", { errors }));
        const [first] = preview({ ...read.timing, spread: null }, nowAt, 1).occurrences;
        return {
          valid: true,
          errors: [],
          cron_expression: read.columns.cron_expression ?? null,
          first_at: first === undefined ? null : new Date(first.at).toISOString(),
          warnings: toWarnings(read.timing, nowAt),
        };
      });
    },
  });
}

/** The answer to a rule that would be refused. What is no problem of the rule is thrown on. */
function refusedRule(problem: unknown) {
  if (!(problem instanceof Problem)) throw problem;
  const errors = problem.errors.map(({ field, message, value }) => ({ field, message, value }));
  return { valid: false, errors, cron_expression: null, first_at: null, warnings: [] };
}
