import { runStates } from "@downbeat/store/run-states.ts";
import * as z from "zod";
import { instantField, tenantRef, uuidField } from "../http/field-types.ts";

const runFields = z.object({
  id: uuidField.describe("Id of the run; the `webhook-id` of its calls. Ids sort by `scheduled_for`."),
  tenant: tenantRef.describe("Whose it is."),
  schedule: z
    .object({ id: uuidField.describe("Id of the schedule."), name: z.string().describe("Its name.") })
    .describe("What it is a run of."),
  scheduled_for: instantField.describe("The occurrence, or the instant of the request that asked for the run."),
  trigger: z
    .enum(["schedule", "manual", "backfill"])
    .describe(
      "`schedule`: an occurrence of the rule. `manual`: somebody asked for it. `backfill`: an occurrence of the past that somebody asked for.",
    ),
  state: z.enum(runStates).describe("`succeeded`, `failed`, `canceled`, `skipped` and `missed` are final."),
  reason: z.string().nullable().describe("Why it failed, was canceled, skipped or missed: a stable code."),
  reason_text: z.string().nullable().describe("The reason in words."),
  attempt: z.int().describe("Attempts so far."),
  due_at: instantField.describe("When its next attempt may start, or its last one could: `scheduled_for`, later the retry's instant."),
  started_at: instantField.nullable().describe("When its last attempt started."),
  finished_at: instantField.nullable().describe("When it became final."),
  lag_ms: z.number().nullable().describe("From `scheduled_for`, and the spread, to `started_at`, in ms. Null before it started."),
  http_status: z.int().nullable().describe("Status of the last answer."),
  spread_ms: z.int().nullable().describe("How much later than `scheduled_for` it was to start, because its schedule is spread."),
  blocked_by: uuidField.nullable().describe("The run that held its place when it was skipped or had to wait, or that replaced it."),
  range_from: instantField.nullable().describe("A stretch of missed occurrences is one row: from here to `scheduled_for`."),
  range_count: z.int().nullable().describe("How many occurrences the stretch holds."),
  created_at: instantField.describe("When the row was written."),
});

export const runSchema = runFields.meta({ id: "Run", description: "One occurrence, or one manual request, from due to done." });

const attemptSchema = z
  .object({
    attempt: z.int().describe("Counts from 1."),
    outcome: z.string().describe("`success`, `transient`, `limited`, `permanent`, `gone`, `blocked`, or `unknown`: its executor was lost."),
    code: z.string().nullable().describe("What happened: `http_503`, `timeout`, …"),
    http_status: z.int().nullable().describe("Status of the answer."),
    started_at: instantField.nullable().describe("When the call started."),
    finished_at: instantField.describe("When it ended, or its lease was lost."),
    duration_ms: z.number().nullable().describe("From start to end, in ms."),
    response_excerpt: z.string().nullable().describe("The beginning of the answer, with credentials blotted out."),
    executor: z.string().nullable().describe("Who made the call."),
  })
  .meta({ id: "Attempt", description: "One try to deliver a run." });

const timelineEntrySchema = z
  .object({
    at: instantField.describe("When."),
    event: z
      .string()
      .describe(
        "What: `created`, `queued`, `attempt_started`, `attempt_ended`, `finished`, or an event of the journal (`retrying`, `canceled`, …).",
      ),
    actor: z.string().nullable().describe("Who did it, where the journal says."),
    detail: z.string().nullable().describe("Why, or with what result."),
  })
  .meta({ id: "TimelineEntry" });

export const runDetailSchema = runFields
  .extend({
    attempts: z.array(attemptSchema).describe("Attempts that ended, in order."),
    timeline: z.array(timelineEntrySchema).describe("The life of the run, oldest first."),
  })
  .meta({ id: "RunDetail", description: "A run with its attempts and its life." });
