import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import * as z from "zod";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for the text form of a UUID of any version. */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** A name that people give. Never the form of an id, so that a path segment that is a UUID is always an id. */
export const nameField = z
  .string()
  .min(1, "must not be empty")
  .max(120, "must not be longer than 120 characters")
  .refine((name) => name === name.trim() && !/\p{Cc}/u.test(name), "must not begin or end with a space, nor hold control characters")
  .refine((name) => !isUuid(name), "must not have the form of an id");

export const uuidField = z.string().meta({ format: "uuid" });

/** An instant in an answer: RFC 3339 in UTC, whole milliseconds. */
export const instantField = z.string().meta({ format: "date-time" });

/** An instant in a query. */
export const instantQuery = z
  .string()
  .refine((text) => parseInstant(text) !== null, 'must be a date and time with an offset, like "2026-03-08T09:00:00Z"')
  .meta({ format: "date-time" });

export const limitQuery = z.coerce
  .number("must be a whole number from 1 to 200")
  .int("must be a whole number from 1 to 200")
  .min(1, "must be at least 1")
  .max(200, "must be at most 200")
  .default(50)
  .describe("How many to answer at most. Default 50, most 200.");

export const cursorQuery = z
  .string()
  .max(600, "is not a cursor of this list")
  .optional()
  .describe("`next_cursor` of the page before. Keep the other parameters as they were.");

/** One page of a list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).describe("The page."),
    next_cursor: z.string().nullable().describe("Give it as `cursor` to get the next page. Null on the last one."),
  });
}

export const tenantRef = z.object({
  id: uuidField.describe("Id of the tenant."),
  slug: z.string().describe("Slug of the tenant."),
});
