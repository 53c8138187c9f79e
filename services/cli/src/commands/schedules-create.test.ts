import { expect, test } from "vitest";
import { toRequest } from "./schedules-create.ts";

const needed = { name: "n", endpoint: "e" };

test.each([
  ["90", 90],
  ["30s", 30],
  ["5m", 300],
  ["1.5h", 5_400],
  ["1d", 86_400],
  ["-5", -5],
])("--every %s asks for an interval of %d seconds, for the API to judge", (every, seconds) => {
  expect(toRequest({ ...needed, every })).toEqual({ ...needed, interval_seconds: seconds });
});

test("exactly one option says when", () => {
  expect(() => toRequest(needed)).toThrow("exactly one of --cron, --every, --at and --frequency");
  expect(() => toRequest({ ...needed, cron: "* * * * *", at: "2026-03-08T09:00:00Z" })).toThrow("not 2");
});

test("what cannot be written down is wrong usage: exit code 2", () => {
  expect(() => toRequest({ ...needed, every: "often" })).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining('"often"') }),
  );
  expect(() => toRequest({ ...needed, every: "5", input: "{a:1}" })).toThrow(expect.objectContaining({ exitCode: 2 }));
});

test("a preset is one of those that say when", () => {
  expect(toRequest({ ...needed, frequency: "daily", grace: "none" })).toEqual({ ...needed, frequency: "daily", grace_seconds: null });
  expect(() => toRequest({ ...needed, frequency: "daily", cron: "0 0 * * *" })).toThrow("not 2");
});

test("target and input are sent only when they were given", () => {
  expect(toRequest({ ...needed, cron: "@daily", timezone: "Europe/Berlin", path: "/x", method: "PUT", input: '{"a":1}' })).toEqual({
    ...needed,
    cron_expression: "@daily",
    timezone: "Europe/Berlin",
    target: { path: "/x", method: "PUT" },
    input: { a: 1 },
  });
});
