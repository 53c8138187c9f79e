import { expect, test } from "vitest";
import { distanceText, isoText, lengthText, valueText } from "./explain-words.ts";

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1 s"],
  [59_940, "59.9 s"],
  [59_999, "1 min"],
  [60_000, "1 min"],
  [200_000, "3 min 20 s"],
  [3_600_000, "1 h"],
  [93_900_000, "26 h 5 min"],
  [273_600_000, "3 d 4 h"],
  [-5, "0 ms"],
])("%d ms are %j", (length, text) => {
  expect(lengthText(length)).toBe(text);
});

test("a distance says on which side", () => {
  expect([distanceText(1_000, 0), distanceText(0, 1_000), distanceText(5, 5)]).toEqual(["1 s after", "1 s before", "exactly at"]);
});

test("an instant shows milliseconds only where there are some", () => {
  expect([isoText(0), isoText(1)]).toEqual(["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z"]);
});

test("values of the journal are short", () => {
  expect([valueText(null), valueText("a"), valueText(3), valueText(Array(50).fill("2026-01-01")).length]).toEqual(["none", '"a"', "3", 80]);
});
