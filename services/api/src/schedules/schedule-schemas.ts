import { overlaps } from "@downbeat/timing/pass-gate.ts";
import { misfires } from "@downbeat/timing/plan-due.ts";
import * as z from "zod";
import { instantField, nameField, tenantRef, uuidField } from "../http/field-types.ts";
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

/** Everything a schedule says about time. Texts are read by the timing library, which says what is wrong with them. */
const timingFields = {
  kind: z
    .enum(["cron", "interval", "once"])
    .optional()
    .describe("May be left out when exactly one of `cron_expression`, `frequency`, `interval_seconds` and `run_at` is given."),
  cron_expression: z
    .string()
    .max(300)
    .optional()
    .describe("5 fields, or 6 with seconds first, or 7 with the year last; names, `L`, `L-3`, `W`, `#`, `+`, `@daily`."),
  frequency: z
    .string()
    .max(100)
    .optional()
    .describe(
      "A preset in place of an expression: `hourly`, `2hours` … `weekly`, or as Laravel has them: `everyFiveMinutes()`, `dailyAt('13:00')`.",
    ),
  timezone: z.string().max(100).optional().describe("IANA name in which a cron expression or a local `run_at` is read. Default `UTC`."),
  dst_gap: z
    .string()
    .max(40)
    .optional()
    .describe(
      "What a slot does that clocks skip: `run_at_gap_end` (default), `shift`, `skip`. A pattern that matches every hour follows real time.",
    ),
  dst_overlap: z.string().max(40).optional().describe("What a slot does that clocks show twice: `first` (default), `last`, `both`."),
  interval_seconds: z.number().optional().describe("Whole seconds from one run to the next; daylight saving does not move it."),
  anchor_at: z.string().max(40).optional().describe("Runs are at this instant plus multiples of the interval. Default: now."),
  run_at: z
    .string()
    .max(40)
    .optional()
    .describe("The instant of a one-off, with an offset (`2026-03-08T09:00:00-05:00`) or as a local time of `timezone`."),
  starts_at: z.string().max(40).nullish().describe("No occurrence before this instant. Default: none."),
  ends_at: z.string().max(40).nullish().describe("No occurrence after this instant. Default: none."),
  calendars: z
    .array(z.string().min(1).max(120))
    .max(10)
    .optional()
    .describe("Ids or names of calendars: occurrences in a blackout, or outside of every allow calendar, do not exist."),
  spread: z
    .union([z.string().max(40), z.number()], 'must be a duration like "15m" or 900, or a share like "50%"')
    .nullish()
    .describe(
      "Starts each run by a stable offset later, within this duration (`15m`, 900) or share of the time to the next occurrence (`50%`).",
    ),
  misfire: z
    .enum(misfires)
    .optional()
    .describe(
      "What runs of the occurrences that a downtime made late: the `latest` (default), `all` of them (at most 1,000), or none (`skip`).",
    ),
  grace_seconds: z
    .int("must be whole seconds, or null for no limit")
    .min(0, "must not be negative; null means no limit")
    .max(31_622_400, "must be at most 31622400 (366 days); null means no limit")
    .nullish()
    .describe(
      "An occurrence later than this is missed under every policy. Null: no limit. Default: one day, unless the installation sets another.",
    ),
  overlap: z
    .enum(overlaps)
    .optional()
    .describe(
      "What an occurrence does while another run of the schedule is under way: `skip` (default), wait as `queue_one` or `queue_all`, `allow` up to `max_instances`, or `cancel_previous`.",
    ),
  max_instances: z.int().min(1).max(1_000).optional().describe("For `allow`: runs under way at once. Default 3."),
  on_resume: z
    .enum(misfires)
    .optional()
    .describe("What runs of the occurrences that fell into a pause: none (`skip`, default), the `latest`, or `all` (at most 1,000)."),
  max_runs: z
    .int()
    .min(1)
    .max(2_147_483_647)
    .nullish()
    .describe("The schedule is completed when it has had this many runs; skipped ones do not count."),
  max_failures: z
    .int()
    .min(1)
    .max(1_000_000)
    .nullish()
    .describe("The schedule is paused when this many runs have failed in a row. Default: never."),
};

export type TimingFields = z.output<z.ZodObject<typeof timingFields>>;

/** A rule that is asked about and not stored. */
export const timingBody = z.strictObject(timingFields);

const inputField = z.record(z.string(), z.unknown());

export const newSchedule = z.strictObject({
  name: nameField.describe("Unique within the tenant."),
  ...timingFields,
  endpoint: z.string().min(1).describe("Whom to call: id or name of an endpoint of this tenant."),
  target: targetField.prefault({}).describe("What to call on it. Default: POST to the base URL."),
  input: inputField.default({}).describe("Handed to the target with every run, as `input`. A JSON object."),
});

export const scheduleChanges = z.strictObject({
  name: nameField.optional().describe("Unique within the tenant."),
  ...timingFields,
  endpoint: z.string().min(1).optional().describe("Whom to call: id or name of an endpoint of this tenant."),
  target: targetField.optional().describe("What to call on it."),
  input: inputField.optional().describe("Handed to the target with every run, as `input`. A JSON object."),
  confirm: z.boolean().optional().describe("True says that a schedule which would run at least ten times as often is meant to."),
});

export type ScheduleChanges = z.output<typeof scheduleChanges>;

export const dryRunQuery = z
  .enum(["true", "false"])
  .default("false")
  .describe("`true` answers what the request would do, and does nothing.");

export type NewSchedule = z.output<typeof newSchedule>;

export const scheduleSchema = z
  .object({
    id: uuidField.describe("Id of the schedule."),
    tenant: tenantRef.describe("Whose it is."),
    name: z.string().describe("Unique within the tenant."),
    state: z.enum(scheduleStates).describe("`active`, `paused`, or `completed`: the rule has no further occurrence."),
    kind: z.enum(["cron", "interval", "once"]).describe("What kind of rule it is."),
    cron_expression: z.string().nullable().describe("Kind `cron`: the expression, also where a preset was given."),
    frequency: z.string().nullable().describe("The preset, if one was given."),
    timezone: z.string().nullable().describe("Kinds `cron` and `once`: the zone it is read in."),
    dst_gap: z.string().nullable().describe("Kind `cron`: what a slot does that clocks skip."),
    dst_overlap: z.string().nullable().describe("Kind `cron`: what a slot does that clocks show twice."),
    interval_seconds: z.int().nullable().describe("Kind `interval`: seconds from one run to the next."),
    anchor_at: instantField.nullable().describe("Kind `interval`: runs are at this instant plus multiples of the interval."),
    run_at: instantField.nullable().describe("Kind `once`: its instant."),
    starts_at: instantField.nullable().describe("No occurrence before this instant."),
    ends_at: instantField.nullable().describe("No occurrence after this instant."),
    calendars: z
      .array(z.object({ id: uuidField.describe("Id."), name: z.string().describe("Name.") }))
      .describe("Calendars it is held to."),
    spread: z.string().nullable().describe("The window in which its runs start."),
    misfire: z.enum(misfires).describe("What runs of occurrences that a downtime made late."),
    grace_seconds: z.int().nullable().describe("An occurrence later than this is missed. Null: no limit."),
    overlap: z.enum(overlaps).describe("What an occurrence does while another run is under way."),
    max_instances: z.int().describe("For `allow`: runs under way at once."),
    on_resume: z.enum(misfires).describe("What runs of occurrences that fell into a pause."),
    max_runs: z.int().nullable().describe("It is completed when it has had this many runs."),
    max_failures: z.int().nullable().describe("It is paused when this many runs have failed in a row."),
    tzdata: z.string().nullable().describe("Version of the time zone database it was last saved with."),
    endpoint: z
      .object({ id: uuidField.describe("Id of the endpoint."), name: z.string().describe("Its name.") })
      .describe("Whom it calls."),
    target: targetField.describe("What it calls on the endpoint."),
    input: z.record(z.string(), z.unknown()).describe("Handed to the target with every run."),
    next_run_at: instantField
      .nullable()
      .describe("When it runs next. In the past: due, and a dispatcher is late. Null while paused and when completed."),
    next_scheduled_for: instantField
      .nullable()
      .describe("The occurrence that runs next; another instant than `next_run_at` where the schedule is spread."),
    paused_at: instantField.nullable().describe("Since when it is paused."),
    paused_until: instantField.nullable().describe("When the pause ends by itself."),
    completed_at: instantField.nullable().describe("Since when it has nothing left to run."),
    completed_reason: z.string().nullable().describe("`max_runs`, where that is why."),
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

export const impactSchema = z
  .object({
    from: instantField.describe("The 30 days that are compared begin here."),
    to: instantField.describe("They end here."),
    runs_before: z.int().describe("Occurrences of the present rule in that time."),
    runs_after: z.int().describe("Occurrences of the new one."),
    added: z.int().nullable().describe("Occurrences that only the new rule has. Null: too many to compare."),
    removed: z.int().nullable().describe("Occurrences that only the present rule has."),
    first_added: z.array(instantField).describe("The first few of those added."),
    first_removed: z.array(instantField).describe("The first few of those removed."),
    queue_requests_max: z.int().describe("Most queue requests for the runs of the new rule."),
    withdrawn: z
      .int()
      .describe("Runs claimed ahead of their time that are withdrawn and decided about anew. What is due already runs as it was."),
    next_run_at: instantField.nullable().describe("When it would run next."),
  })
  .meta({ id: "ScheduleImpact", description: "What a change means over the next 30 days." });

export const dstWarningSchema = z
  .object({
    at: instantField.describe("When the clocks change."),
    kind: z.enum(["gap", "overlap"]).describe("`gap`: wall times are skipped. `overlap`: they are shown twice."),
    slots: z
      .array(
        z.object({
          local: z.string().describe("The wall time that the rule names."),
          runs_at: z.array(instantField).describe("The instants at which it runs; none when it is dropped."),
        }),
      )
      .describe("The first few slots concerned."),
    text: z.string().describe("All of it in words."),
  })
  .meta({ id: "DstWarning", description: "What one of the next two clock changes of its zone does to a schedule." });

const warnings = z.array(dstWarningSchema).describe("What the next two clock changes of its zone do to it.");

export const writtenScheduleSchema = scheduleSchema
  .extend({ warnings })
  .meta({ id: "WrittenSchedule", description: "A schedule that was just written." });

export const updatedScheduleSchema = writtenScheduleSchema
  .extend({ impact: impactSchema.describe("What the change means.") })
  .meta({ id: "UpdatedSchedule", description: "A schedule that was just changed." });

export const dryRunSchema = z
  .object({ impact: impactSchema.describe("What the request would mean."), warnings })
  .meta({ id: "ScheduleDryRun", description: "What a request would do. Nothing was written." });

export const pausedScheduleSchema = scheduleSchema
  .extend({
    pause: z
      .object({
        until: instantField.nullable().describe("When it ends by itself. Null: when somebody resumes it."),
        on_resume: z.enum(misfires).describe("What becomes of the occurrences that fall into it."),
        occurrences: z.int().nullable().describe("How many fall into it. Null while its end is not known."),
        skipped: z.int().nullable().describe("How many of them will be skipped."),
        replayed: z.int().nullable().describe("How many will be made up for."),
        per_day: z.int().describe("How many fall into the first day."),
      })
      .describe("What the pause costs."),
  })
  .meta({ id: "PausedSchedule" });

export const resumedScheduleSchema = scheduleSchema
  .extend({
    resume: z
      .object({
        skipped: z.int().describe("Occurrences of the pause that do not run."),
        replayed: z.int().describe("Occurrences of the pause that run now."),
      })
      .describe("What became of the occurrences that fell into the pause."),
  })
  .meta({ id: "ResumedSchedule" });

/** In the path of every route about one schedule. */
export const scheduleParams = z.strictObject({ schedule: z.string().describe("Id or name.") });
