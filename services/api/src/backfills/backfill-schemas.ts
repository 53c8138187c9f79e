import { backfillStates } from "@downbeat/store/lock-backfill.ts";
import * as z from "zod";
import { instantField, instantQuery, tenantRef, uuidField } from "../http/field-types.ts";

/** Most runs of one backfill under way at once. */
const concurrencyMax = 100;
const concurrencyRule = `must be a whole number from 1 to ${concurrencyMax}`;

export const newBackfill = z.strictObject({
  from: instantQuery.describe("Occurrences after this instant. An occurrence exactly at it is not among them."),
  to: instantQuery.optional().describe("Occurrences up to and including this instant, which must not be in the future. Default: now."),
  concurrency: z
    .int(concurrencyRule)
    .min(1, concurrencyRule)
    .max(concurrencyMax, concurrencyRule)
    .default(1)
    .describe("Most of its runs under way at once, from 1 to 100. Default 1: one after the other, oldest first."),
  dry_run: z.boolean().default(false).describe("Answer the plan and run nothing. Default false."),
});

export type NewBackfill = z.output<typeof newBackfill>;

export const backfillPlanSchema = z
  .object({
    from: instantField.describe("Occurrences after this instant …"),
    to: instantField.describe("… up to and including this one."),
    concurrency: z.int().describe("Most of its runs under way at once."),
    occurrences: z.int().describe("Occurrences of the schedule's present rule in the stretch."),
    left_out: z
      .object({
        succeeded: z.int().describe("Their run has succeeded, of whatever trigger."),
        under_way: z.int().describe("Their run has not ended, or is about to be made."),
      })
      .describe("Occurrences that will not be run, and why."),
    planned: z.int().describe("Occurrences that will be run."),
    first: z.array(instantField).describe("The first ten of them."),
    last: z.array(instantField).describe("The last ten of the others."),
    estimate: z
      .object({
        mean_run_ms: z
          .number()
          .nullable()
          .describe(
            "How long the schedule's newest runs that succeeded took on average, in ms. Null: there are none; one second is assumed.",
          ),
        runs_per_minute: z.number().describe("How many runs a minute that makes at this concurrency."),
        seconds: z.number().describe("How long the whole of it will take, in seconds, if nothing fails."),
      })
      .describe("A guess from the past."),
  })
  .meta({ id: "BackfillPlan", description: "What a backfill would run." });

const backfillFields = z.object({
  id: uuidField.describe("Id of the backfill."),
  tenant: tenantRef.describe("Whose it is."),
  schedule: z
    .object({ id: uuidField.describe("Id of the schedule."), name: z.string().describe("Its name.") })
    .describe("Whose occurrences it runs."),
  from: instantField.describe("Occurrences after this instant …"),
  to: instantField.describe(
    "… up to and including this one. Earlier than was asked for where the schedule itself had yet to claim what is later.",
  ),
  state: z
    .enum(backfillStates)
    .describe(
      "`running`; `paused`: no further run is made; `completed`: every run has ended; `canceled`: what had not started was withdrawn.",
    ),
  concurrency: z.int().describe("Most of its runs under way at once."),
  planned: z.int().describe("Occurrences to run, as it was planned."),
  fed: z
    .int()
    .describe(
      "Runs made so far. Fewer than `planned` in the end: some occurrences had succeeded by other means when their turn came. More: some whose run was under way when it was planned had failed by then.",
    ),
  running: z.int().describe("Runs that have not ended, retries included."),
  succeeded: z.int().describe("Runs that succeeded."),
  failed: z.int().describe("Runs that failed."),
  canceled: z.int().describe("Runs that were withdrawn."),
  next_at: instantField.nullable().describe("The next occurrence it will look at. Null when none is left."),
  created_by: z.string().describe("Who asked for it."),
  created_at: instantField.describe("When it was asked for."),
  finished_at: instantField.nullable().describe("When its last run had ended."),
});

export const backfillSchema = backfillFields.meta({ id: "Backfill", description: "Runs of a past stretch of a schedule." });

export const plannedBackfillSchema = backfillFields
  .extend({ plan: backfillPlanSchema.nullable().describe("What it runs. Null when an earlier request made it.") })
  .meta({ id: "PlannedBackfill", description: "A backfill that has just begun, with its plan." });

/** In the path of every route about one backfill. */
export const backfillParams = z.strictObject({ backfill: z.string().describe("Id of the backfill.") });
