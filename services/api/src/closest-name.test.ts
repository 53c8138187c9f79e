import { expect, it } from "vitest";
import { closestName } from "./closest-name.ts";

const known = ["name", "cron_expression", "interval_seconds", "timezone", "endpoint"];

it.each([
  ["nam", "name"],
  ["cronExpression", "cron_expression"],
  ["cron", undefined],
  ["interval-second", "interval_seconds"],
  ["timeZone", "timezone"],
  ["endpoint_id", "endpoint"],
  ["colour", undefined],
  ["", undefined],
])("%j is taken for %j", (given, meant) => {
  expect(closestName(given, known)).toBe(meant);
});
