import * as z from "zod";
import { instantField, nameField, tenantRef, uuidField } from "./field-types.ts";
import { scheduleStates } from "./read-schedules.ts";

const targetField = z
  .strictObject({
    type: z.literal("http").default("http").describe("A signed HTTP request. Default `http`."),
    method: z.enum(["POST", "PUT", "PATCH", "GET"]).default("POST").describe("Default `POST`. `GET` sends no body."),
    path: z
      .string()
      .max(2048)
      .default("")
      .describe("Appended to the endpoint's base URL: `/orders`, `?full=1` or nothing. Default nothing."),
  })
  .meta({ id: "Target", description: "What a run calls on its endpoint." });

export const newSchedule = z.strictObject({
  name: nameField.describe("Unique within the tenant."),
  kind: z
    .enum(["cron", "interval", "once"])
    .optional()
    .describe("May be left out when exactly one of `cron_expression`, `interval_seconds` and `run_at` is given."),
  cron_expression: z
    .string()
    .max(300)
    .optional()
    .describe("5 fields, or 6 with seconds first, or 7 with the year last; names, `L`, `W`, `#`, `@daily`."),
  timezone: z.string().max(100).optional().describe("IANA name in which a cron expression is read. Default `UTC`."),
  interval_seconds: z.number().optional().describe("Whole seconds from one run to the next; daylight saving does not move it."),
  anchor_at: z.string().max(40).optional().describe("Runs are at this instant plus multiples of the interval. Default: now."),
  run_at: z.string().max(40).optional().describe("The instant of a one-off, with an offset: `2026-03-08T09:00:00-05:00`."),
  starts_at: z.string().max(40).optional().describe("No occurrence before this instant. Default: none."),
  ends_at: z.string().max(40).optional().describe("No occurrence after this instant. Default: none."),
  endpoint: z.string().min(1).describe("Whom to call: id or name of an endpoint of this tenant."),
  target: targetField.prefault({}).describe("What to call on it. Default: POST to the base URL."),
  input: z.record(z.string(), z.unknown()).default({}).describe("Handed to the target with every run, as `input`. A JSON object."),
});

export type NewSchedule = z.output<typeof newSchedule>;

export const scheduleSchema = z
  .object({
    id: uuidField.describe("Id of the schedule."),
    tenant: tenantRef.describe("Whose it is."),
    name: z.string().describe("Unique within the tenant."),
    state: z.enum(scheduleStates).describe("`active`, `paused`, or `completed`: the rule has no further occurrence."),
    kind: z.enum(["cron", "interval", "once"]).describe("What kind of rule it is."),
    cron_expression: z.string().nullable().describe("Kind `cron`: the expression."),
    timezone: z.string().nullable().describe("Kind `cron`: the zone it is read in."),
    interval_seconds: z.int().nullable().describe("Kind `interval`: seconds from one run to the next."),
    anchor_at: instantField.nullable().describe("Kind `interval`: runs are at this instant plus multiples of the interval."),
    run_at: instantField.nullable().describe("Kind `once`: its instant."),
    starts_at: instantField.nullable().describe("No occurrence before this instant."),
    ends_at: instantField.nullable().describe("No occurrence after this instant."),
    endpoint: z
      .object({ id: uuidField.describe("Id of the endpoint."), name: z.string().describe("Its name.") })
      .describe("Whom it calls."),
    target: targetField.describe("What it calls on the endpoint."),
    input: z.record(z.string(), z.unknown()).describe("Handed to the target with every run."),
    next_run_at: instantField
      .nullable()
      .describe("The next occurrence. In the past: due, and a dispatcher is late. Null while paused and when completed."),
    paused_at: instantField.nullable().describe("Since when it is paused."),
    pause_reason: z.string().nullable().describe("Why it was paused, as whoever did it said."),
    revision: z.int().describe("Counts edits, from 1."),
    stats: z
      .object({
        succeeded: z.int().describe("Runs that succeeded."),
        failed: z.int().describe("Runs that failed."),
        consecutive_failures: z.int().describe("Failed runs since the last that succeeded."),
        last_run_at: instantField.nullable().describe("When the last run ended."),
        last_state: z.string().nullable().describe("How it ended."),
        last_error: z.string().nullable().describe("Failure code of the last run, if it failed."),
      })
      .describe("Counters of its runs."),
    created_at: instantField.describe("When it was created."),
    updated_at: instantField.describe("When it was last changed."),
  })
  .meta({ id: "Schedule", description: "The rule: when, whom, what." });

/** In the path of every route about one schedule. */
export const scheduleParams = z.strictObject({ schedule: z.string().describe("Id or name.") });
