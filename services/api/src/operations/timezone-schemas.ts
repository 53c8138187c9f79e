import * as z from "zod";
import { instantField, tenantRef, uuidField } from "../http/field-types.ts";

const offsetField = z.string().describe("Offset from UTC, like `+02:00`.");

const zoneSchema = z
  .object({
    timezone: z.string().describe("As the schedules have it."),
    schedules: z.int().describe("Cron schedules in it, without deleted ones."),
    is_known: z
      .boolean()
      .describe("False: this version of the time zone database does not have it, and its schedules are paused when they come due."),
    offset: offsetField.nullable().describe("Offset from UTC now, like `+02:00`. Null when it is not known."),
    changes: z
      .array(
        z.object({
          at: instantField.describe("When its clocks change."),
          before: offsetField.describe("Offset before it."),
          after: offsetField.describe("Offset from then on."),
        }),
      )
      .describe("The next two clock changes of the coming 400 days."),
  })
  .meta({ id: "TimezoneInUse" });

const movedSchema = z
  .object({
    at: instantField.describe("When it was found."),
    tenant: tenantRef.describe("Whose schedule."),
    schedule: z
      .object({ id: uuidField.describe("Id of the schedule."), name: z.string().describe("Its name.") })
      .describe("The schedule whose occurrences moved."),
    timezones: z.array(z.string()).describe("The zones that changed: of the schedule, of its calendars."),
    tzdata_before: z.string().nullable().describe("The version before."),
    tzdata: z.string().nullable().describe("The version that moved it."),
    gone: z.array(instantField).describe("The first instants at which it no longer fires."),
    come: z.array(instantField).describe("The first instants at which it fires instead."),
    from: instantField.describe("The first occurrence that was decided with the new version."),
  })
  .meta({ id: "MovedSchedule" });

export const timezonesSchema = z
  .object({
    tzdata: z.string().nullable().describe("Version of the time zone database that this API answers with."),
    dispatchers: z
      .object({
        tzdata: z.string().describe("Version that schedules were last looked at with."),
        compared_at: instantField.nullable().describe("When the last comparison was finished. Null: one is under way."),
      })
      .nullable()
      .describe("What dispatchers run with. Null: none has looked yet."),
    items: z.array(zoneSchema).describe("Zones in use, by name."),
    moves: z.array(movedSchema).describe("Schedules that a new version moved, the latest 50."),
  })
  .meta({ id: "Timezones", description: "The time zones that schedules are in, and what became of them." });
