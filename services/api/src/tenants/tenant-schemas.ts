import * as z from "zod";
import { instantField, instantQuery, isUuid, nameField, uuidField } from "../http/field-types.ts";

const slugField = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 lower-case letters, digits and inner hyphens")
  .refine((slug) => !isUuid(slug), "must not have the form of an id");

export const newTenant = z.strictObject({
  slug: slugField.describe("Short unique name for URLs and the `X-Tenant` header: lower-case letters, digits, hyphens."),
  name: nameField.optional().describe("Name for people. Default: the slug."),
});

/** Whole numbers, or null for the installation's default. */
function limitField(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}, or null for the installation's default`;
  return z.int(message).min(min, message).max(max, message).nullable();
}

const limitTexts = {
  interval_seconds_min: "The shortest time between two occurrences that the tenant's keys may ask for, in seconds.",
  schedules_max: "How many schedules it may have.",
  runs_per_day_max: "How many runs it may have in a day (UTC); occurrences beyond are skipped with the reason `budget`.",
};

export const tenantChanges = z.strictObject({
  name: nameField.optional().describe("Name for people."),
  limits: z
    .strictObject({
      interval_seconds_min: limitField(1, 86_400)
        .optional()
        .describe(`${limitTexts.interval_seconds_min} 1 to 86,400; null: as the installation is configured.`),
      schedules_max: limitField(0, 1_000_000).optional().describe(`${limitTexts.schedules_max} 0 to 1,000,000; null: no limit.`),
      runs_per_day_max: limitField(0, 2_147_483_647)
        .optional()
        .describe(`${limitTexts.runs_per_day_max} 0 to 2,147,483,647; null: no limit.`),
    })
    .optional()
    .describe("Limits that are left out stay as they are. They hold from now on; schedules that exist are left alone."),
});

export type TenantChanges = z.output<typeof tenantChanges>;

export const newMaintenance = z
  .strictObject({
    from: instantQuery.optional().describe("When it begins. Default: now. Never in the past: what has run cannot be taken back."),
    until: instantQuery
      .nullish()
      .describe("When it ends by itself. Null, the default: when somebody ends it. While it is on, leaving it out keeps the present end."),
    reason: z
      .string()
      .max(500)
      .nullish()
      .describe("Why, for whoever looks at it later. While it is on, leaving it out keeps the present one."),
  })
  .optional();

export type NewMaintenance = NonNullable<z.output<typeof newMaintenance>>;

export const tenantSchema = z
  .object({
    id: uuidField.describe("Id of the tenant."),
    slug: z.string().describe("Short unique name."),
    name: z.string().describe("Name for people."),
    limits: z
      .object({
        interval_seconds_min: z.int().nullable().describe(`${limitTexts.interval_seconds_min} Null: as the installation is configured.`),
        schedules_max: z.int().nullable().describe(`${limitTexts.schedules_max} Null: no limit.`),
        runs_per_day_max: z.int().nullable().describe(`${limitTexts.runs_per_day_max} Null: no limit.`),
      })
      .describe("What an administrator allows it."),
    maintenance: z
      .object({
        from: instantField.describe("Occurrences due from this instant on are skipped."),
        until: instantField.nullable().describe("Occurrences due from this instant on run again. Null: nobody knows yet."),
        reason: z.string().nullable().describe("Why, as whoever began it said."),
        is_active: z.boolean().describe("True while it is on. False: planned, or over."),
      })
      .nullable()
      .describe("The latest maintenance: planned, on or over. Null: none yet."),
    created_at: instantField.describe("When it was created."),
    updated_at: instantField.describe("When it was last changed."),
  })
  .meta({ id: "Tenant", description: "Whom schedules, endpoints and runs belong to." });

export const createdTenant = tenantSchema
  .extend({ api_key: z.string().describe("A key with scope `tenant`. Shown this once: only its hash is stored.") })
  .meta({ id: "CreatedTenant" });

/** In the path of every route about one tenant. */
export const tenantParams = z.strictObject({ tenant: z.string().describe("Id or slug.") });
