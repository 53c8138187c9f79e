import { calendarEntryForms } from "@downbeat/timing/parse-calendar.ts";
import * as z from "zod";
import { instantField, nameField, tenantRef, uuidField } from "../http/field-types.ts";

const kindField = z.enum(["allow", "blackout"]);
const zoneField = z.string().max(100);
const entriesField = z
  .array(z.string().max(200, "must not be longer than 200 characters"))
  .min(1, "must have at least one entry")
  .max(1_000, "must not have more than 1000 entries");

const kindText =
  "`blackout`: occurrences in it do not exist. `allow`: occurrences outside of it do not exist; of several allow calendars, one is enough.";
const zoneText = "IANA name: where its days begin and end.";
const entriesText = `1 to 1,000 texts, each one of: ${calendarEntryForms.join("; ")}.`;

export const newCalendar = z.strictObject({
  name: nameField.describe("Unique within the tenant, or within the installation."),
  kind: kindField.describe(kindText),
  timezone: zoneField.default("UTC").describe(`${zoneText} Default \`UTC\`.`),
  entries: entriesField.describe(entriesText),
});

export const calendarChanges = z.strictObject({
  name: nameField.optional().describe("Unique within the tenant, or within the installation. Schedules that use it go on using it."),
  kind: kindField.optional().describe(kindText),
  timezone: zoneField.optional().describe(zoneText),
  entries: entriesField.optional().describe(`All of them; they take the place of the present ones. ${entriesText}`),
});

export type CalendarChanges = z.output<typeof calendarChanges>;

export const calendarSchema = z
  .object({
    id: uuidField.describe("Id of the calendar."),
    scope: z
      .enum(["installation", "tenant"])
      .describe("`installation`: every tenant may use it, only an administrator may change it. `tenant`: it is one tenant's own."),
    tenant: tenantRef.nullable().describe("Whose it is. Null: the installation's."),
    name: z.string().describe("Unique within its scope. A tenant's own calendar wins over one of the installation with its name."),
    kind: kindField.describe(kindText),
    timezone: z.string().describe(zoneText),
    entries: z.array(z.string()).describe("As they were given."),
    created_at: instantField.describe("When it was created."),
    updated_at: instantField.describe("When it was last changed."),
  })
  .meta({ id: "Calendar", description: "A named set of days, times of the week and periods that schedules can be held to." });

export const calendarDetailSchema = calendarSchema
  .extend({ schedules: z.int().describe("How many schedules use it, of those that the caller may see.") })
  .meta({ id: "CalendarDetail" });

const scheduleRef = {
  id: uuidField.describe("Id of the schedule."),
  tenant: tenantRef.describe("Whose it is."),
  name: z.string().describe("Its name."),
};

export const calendarChangeSchema = z
  .object({
    recomputed: z.int().describe("How many schedules use it, and have their coming occurrences computed anew."),
    withdrawn: z
      .int()
      .describe("Runs claimed ahead of their time that are withdrawn and decided about anew. What is due already runs as it was."),
    schedules: z
      .array(
        z.object({
          ...scheduleRef,
          next_run_at_before: instantField.nullable().describe("When it would run next without the change. Null: paused or completed."),
          next_run_at_after: instantField.nullable().describe("When it runs next with the change. Null: paused or completed."),
        }),
      )
      .describe("Each of them."),
    completed: z
      .array(z.object(scheduleRef))
      .describe(
        "Those of them that the change leaves nothing of within five years: they are completed. A later change can bring them back.",
      ),
  })
  .meta({ id: "CalendarChange", description: "What a change of a calendar means for the schedules that use it." });

export const changedCalendarSchema = calendarSchema
  .extend({ change: calendarChangeSchema.describe("What the change meant for the schedules that use it.") })
  .meta({ id: "ChangedCalendar", description: "A calendar that was just changed." });

export const calendarDryRunSchema = z
  .object({ change: calendarChangeSchema.describe("What the change would mean.") })
  .meta({ id: "CalendarDryRun", description: "What a change of a calendar would do. Nothing was written." });

/** In the path of every route about one calendar. */
export const calendarParams = z.strictObject({ calendar: z.string().describe("Id or name.") });
