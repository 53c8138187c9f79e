import * as z from "zod";
import { instantField, instantQuery, tenantRef, uuidField } from "../http/field-types.ts";

const wholeQuery = (least: number, most: number) =>
  z.coerce
    .number(`must be a whole number from ${least} to ${most}`)
    .int(`must be a whole number from ${least} to ${most}`)
    .min(least, `must be at least ${least}`)
    .max(most, `must be at most ${most}`);

export const forecastQuery = z.strictObject({
  days: wholeQuery(1, 14).default(7).describe("How many times 24 hours. Default 7, most 14."),
  from: instantQuery.optional().describe("Where it begins; its minute counts from its start. Default: now."),
  endpoint: z.string().min(1).optional().describe("Only schedules that call this endpoint: id or name."),
  name: z.string().min(1).max(120).optional().describe("Only schedules whose name contains this text, in whatever case."),
  slots: wholeQuery(1, 1_000_000)
    .optional()
    .describe("How many calls can be under way at once: `seconds` then says how long each peak takes."),
  call_seconds: z.coerce
    .number("must be a number of seconds")
    .positive("must be more than 0")
    .max(86_400, "must be at most 86400")
    .default(1)
    .describe("With `slots`: how long one call takes. Default 1."),
  resolution: z.enum(["hour", "minute"]).default("hour").describe("`minute` adds `minutes`. Default `hour`."),
});

export type ForecastQuery = z.output<typeof forecastQuery>;

const countField = z.int().describe("How many starts.");
const secondsField = z.int().nullable().describe("With `slots`: how long they take to work off what starts in this minute.");

export const forecastSchema = z
  .object({
    from: instantField.describe("The first minute."),
    to: instantField.describe("The end of the last one."),
    schedules: z.int().describe("Live schedules that were looked at. Paused ones count from the end of their pause on, if it has one."),
    occurrences: z
      .int()
      .describe("Starts in all minutes, spreads included. What a policy will keep from running counts too: nobody knows yet."),
    runs_per_minute_mean: z.number().describe("Starts per minute, on average."),
    peaks: z
      .array(
        z.object({
          minute: instantField.describe("Its start."),
          count: countField,
          schedules: z.int().describe("How many schedules start in it."),
          seconds: secondsField,
          endpoints: z
            .array(
              z.object({
                id: uuidField.describe("Id of the endpoint."),
                name: z.string().describe("Its name."),
                tenant: tenantRef.describe("Whose it is."),
                count: countField,
              }),
            )
            .describe("The endpoints that are called most; at most five."),
          tenants: z
            .array(tenantRef.extend({ count: countField }))
            .optional()
            .describe("The tenants with most starts; at most five. Only for an administrator who names no tenant."),
          top_schedules: z
            .array(z.object({ id: uuidField.describe("Id of the schedule."), name: z.string().describe("Its name."), count: countField }))
            .describe("The schedules that start most often in it, by name among equals; at most five."),
        }),
      )
      .describe("The 20 busiest minutes, busiest first."),
    hours: z
      .array(
        z.object({
          hour: instantField.describe("Its start, in UTC. The first and the last one may be cut."),
          count: countField,
          busiest_minute_count: z.int().describe("Starts in its busiest minute."),
        }),
      )
      .describe("The same by the hour."),
    days: z
      .array(
        z.object({
          day: z.iso.date().describe("The day, in UTC. The first and the last one may be cut."),
          count: countField,
          used: z.int().describe("Runs that the day has had already, as its limit counts them. 0 without a limit."),
          limit: z.int().nullable().describe("The tenant's limit of runs a day, if there is one."),
          is_over: z
            .boolean()
            .nullable()
            .describe("Whether the day will exceed it: then what is too much is skipped. Null without a limit."),
        }),
      )
      .describe("The same by the day."),
    limits: z
      .object({
        slots: z.int().nullable().describe("As it was given."),
        call_seconds: z.number().describe("As it was given."),
        peak_seconds: secondsField.describe("With `slots`: how long they take to work off the busiest minute."),
      })
      .describe("What the peaks meet."),
    minutes: z
      .array(z.tuple([instantField, z.int()]))
      .optional()
      .describe("With `resolution=minute`: each minute with starts, and how many. At most 20,160, which is every minute of 14 days."),
    is_cut: z
      .boolean()
      .describe("True when the answer leaves out schedules, because there is too much to evaluate or a rule cannot be evaluated."),
    left_out: z.int().describe("How many schedules it leaves out."),
  })
  .meta({ id: "Forecast", description: "What is going to start, minute by minute." });

export type ForecastAnswer = z.output<typeof forecastSchema>;
