import * as fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { commonConfig, ConfigError, flag, integer, readConfig } from "./config.ts";

const schema = z.object({
  DATABASE_URL: z.string().describe("Postgres, `postgres://…`."),
  QUEUE_URL: z.url().describe("URL of the queue."),
  SLOTS: integer(1, 100).default(10).describe("Slots."),
  FOR_SECONDS: z
    .union([z.literal("forever"), integer(0, 60)])
    .default(55)
    .describe("How long, in seconds."),
  ALLOW_PRIVATE: flag().default(false).describe("Lets runs call private addresses."),
  ...commonConfig.shape,
});

const needed = { DATABASE_URL: "postgres://db", QUEUE_URL: "http://queue/q" };

function messageOf(environment: Record<string, string>): string {
  try {
    readConfig(schema, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was accepted");
}

test("variables are read by type, and those not set have their defaults", () => {
  expect(readConfig(schema, { ...needed, SLOTS: "42", FOR_SECONDS: "forever", ALLOW_PRIVATE: "yes", LOG_LEVEL: "warn" })).toEqual({
    ...needed,
    SLOTS: 42,
    FOR_SECONDS: "forever",
    ALLOW_PRIVATE: true,
    LOG_LEVEL: "warn",
  });
  expect(readConfig(schema, needed)).toMatchObject({ SLOTS: 10, FOR_SECONDS: 55, ALLOW_PRIVATE: false, LOG_LEVEL: "info" });
});

test("an empty or blank variable counts as not set, and is never read as the number 0", () => {
  expect(readConfig(schema, { ...needed, SLOTS: "", FOR_SECONDS: " " })).toMatchObject({ SLOTS: 10, FOR_SECONDS: 55 });
  expect(messageOf({ ...needed, DATABASE_URL: "" })).toMatch(/^DATABASE_URL is not set/);
});

test("one error names every variable that is missing or wrong, and what it means", () => {
  const lines = messageOf({ SLOTS: "101", ALLOW_PRIVATE: "perhaps" }).split("\n");
  expect(lines).toHaveLength(4);
  expect(lines[0]).toBe("DATABASE_URL is not set. Postgres, `postgres://…`.");
  expect(lines[1]).toBe("QUEUE_URL is not set. URL of the queue.");
  expect(lines[2]).toMatch(/^SLOTS is wrong: .*100.*\. Slots\.$/);
  expect(lines[3]).toMatch(/^ALLOW_PRIVATE is wrong: .+\. Lets runs/);
});

test("an error never repeats a value: it may be a password", () => {
  // With a mark that no message can contain by chance.
  const secret = fc.string({ minLength: 1 }).map((text) => `~${text}~`);
  fc.assert(
    fc.property(fc.constantFrom("QUEUE_URL", "SLOTS", "FOR_SECONDS", "ALLOW_PRIVATE", "LOG_LEVEL"), secret, (key, value) => {
      const message = messageOf({ ...needed, [key]: value });
      expect(message).toContain(`${key} is wrong`);
      expect(message).not.toContain(value);
    }),
  );
});

test("a whole number is a whole number within its bounds", () => {
  for (const wrong of ["0", "101", "1.5", "ten", "1 0", "Infinity", "NaN"])
    expect(messageOf({ ...needed, SLOTS: wrong })).toMatch(/^SLOTS is wrong/);
  for (const right of ["1", "100"]) expect(readConfig(schema, { ...needed, SLOTS: right }).SLOTS).toBe(Number(right));
});
