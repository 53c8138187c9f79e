import { misfires } from "@downbeat/timing/plan-due.ts";
import * as z from "zod";
import { instantField, instantQuery, isUuid, uuidField } from "../http/field-types.ts";
import { impactSchema, scheduleChanges } from "./schedule-schemas.ts";

/** Schedules that one request changes at most. Measured: 1,000 take 1.2 s of one transaction, in which no dispatcher claims them; 10,000 would take ten times that. */
export const bulkSchedulesMax = 1_000;

/** Schedules that an answer shows one by one. */
export const bulkShownMax = 100;

export const scheduleFilter = z
  .strictObject({
    all: z
      .literal(true, "must be true")
      .optional()
      .describe("All schedules of the tenant. Needed where nothing else is given, and goes with nothing else."),
    ids: z
      .array(z.string().refine(isUuid, "must be the id of a schedule"))
      .min(1)
      .max(bulkSchedulesMax, `must not be more than ${bulkSchedulesMax}`)
      .optional()
      .describe("These schedules. Refused when one of them does not exist."),
    names: z
      .array(z.string().min(1).max(120))
      .min(1)
      .max(bulkSchedulesMax, `must not be more than ${bulkSchedulesMax}`)
      .optional()
      .describe("Schedules of these names. Refused when one of them does not exist."),
    name_contains: z.string().min(1).max(120).optional().describe("Schedules whose name contains this text, in whatever case."),
    endpoint: z.string().min(1).optional().describe("Schedules that call this endpoint: id or name."),
    kind: z.enum(["cron", "interval", "once"]).optional().describe("Schedules of this kind."),
    cron_expression: z
      .string()
      .max(300)
      .optional()
      .describe("Cron schedules with exactly this expression, be it given as such or as a preset."),
    minute: z
      .int()
      .min(0)
      .max(59)
      .optional()
      .describe("Cron schedules that fire in this minute of the hour and in no other: 0 finds those that make the herd."),
  })
  .superRefine(({ all, ...others }, context) => {
    const isEmpty = Object.values(others).every((value) => value === undefined);
    if (isEmpty && all === undefined) context.addIssue({ code: "custom", message: 'is empty: say which schedules, or "all": true' });
    if (!isEmpty && all !== undefined) context.addIssue({ code: "custom", path: ["all"], message: "does not go with other conditions" });
  });

export type ScheduleFilter = z.output<typeof scheduleFilter>;

const bulkActions = ["update", "pause", "resume"] as const;

const { name: _, ...changeFields } = scheduleChanges.shape;

/** The fields that go with each action. */
const fieldsOfAction = { update: ["changes"], pause: ["reason", "until"], resume: ["on_resume"] } as const;

export const bulkChange = z
  .strictObject({
    action: z.enum(bulkActions).default("update").describe("What is done to each of them. Default `update`."),
    filter: scheduleFilter.describe(
      "Which schedules: those for which everything given here holds. Without `ids` and `names`, completed ones are left out.",
    ),
    changes: z
      .strictObject(changeFields)
      .optional()
      .describe("With `update`: what changes, as when one schedule is changed. `confirm` is asked for by the sum of all."),
    reason: z.string().max(500).optional().describe("With `pause`: why."),
    until: instantQuery.optional().describe("With `pause`: when it ends by itself."),
    on_resume: z
      .enum(misfires)
      .optional()
      .describe("With `resume`: what runs of the occurrences that fell into the pause. Default: as each schedule says."),
  })
  .superRefine((given, context) => {
    for (const [action, fields] of Object.entries(fieldsOfAction)) {
      for (const field of fields) {
        if (given[field] !== undefined && action !== given.action)
          context.addIssue({ code: "custom", path: [field], message: `goes with the action "${action}", not with "${given.action}"` });
      }
    }
    if (given.action === "update" && Object.keys(given.changes ?? {}).every((field) => field === "confirm"))
      context.addIssue({ code: "custom", path: ["changes"], message: "holds no change" });
  });

export type BulkChange = z.output<typeof bulkChange>;

export const bulkSchema = z
  .object({
    action: z.enum(bulkActions).describe("What was done."),
    matched: z.int().describe("Schedules that the filter found."),
    changed: z.int().describe("Schedules that were changed, or would be."),
    left_out: z
      .int()
      .describe("Schedules that were left as they are: there is nothing to pause or resume of them, or they were deleted meanwhile."),
    impact: impactSchema.optional().describe("With `update`: what it means for all of them together. `next_run_at` is the earliest."),
    pause: z
      .object({
        occurrences: z.int().nullable().describe("How many occurrences fall into the pauses. Null while their end is not known."),
        skipped: z.int().nullable().describe("How many of them will be skipped."),
        replayed: z.int().nullable().describe("How many will be made up for."),
        per_day: z.int().describe("How many fall into the first day."),
      })
      .optional()
      .describe("With `pause`: what it costs, summed up."),
    resume: z
      .object({
        skipped: z.int().describe("Occurrences of the pauses that do not run."),
        replayed: z.int().describe("Occurrences of the pauses that run now."),
      })
      .optional()
      .describe("With `resume`: what became of the pauses, summed up."),
    schedules: z
      .array(
        z.object({
          id: uuidField.describe("Id of the schedule."),
          name: z.string().describe("Its name."),
          next_run_at_before: instantField.nullable().describe("When it would have run next."),
          next_run_at_after: instantField.nullable().describe("When it runs next."),
        }),
      )
      .describe(`The first ${bulkShownMax} that were changed, in the order of their ids.`),
    is_cut: z.boolean().describe("True when more were changed than are shown."),
  })
  .meta({ id: "BulkChange", description: "What one change did to many schedules, or would do." });

export type BulkAnswer = z.output<typeof bulkSchema>;
