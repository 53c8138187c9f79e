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

it("a letter swapped with its neighbour is one slip, and of equally near names the first is taken", () => {
  expect(closestName("nmae", known)).toBe("name");
  expect(closestName("nome", ["note", "name"])).toBe("note");
});

it("as many slips are forgiven as the caller says", () => {
  expect(closestName("intervalsecnd", known, { slipsMax: 0 })).toBeUndefined();
  expect(closestName("intervalsecnd", known, { slipsMax: 2 })).toBe("interval_seconds");
});

it("a name is found under each of its spellings", () => {
  expect(closestName("zone", known, { spellingsOf: (name) => (name === "timezone" ? [name, "zone"] : [name]) })).toBe("timezone");
});

it("nothing is near a text that is longer than any name", () => {
  expect(closestName("name".repeat(10_000), known)).toBeUndefined();
});
