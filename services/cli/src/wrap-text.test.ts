import { expect, test } from "vitest";
import { wrapText } from "./wrap-text.ts";

test("lines are broken between words and are never longer than the width", () => {
  expect(wrapText("to be or not to be", 8)).toEqual(["to be or", "not to", "be"]);
});

test("a word that is longer than the width is not broken", () => {
  expect(wrapText("see 01993a5e-7c00-8b1f-9d2e now", 10)).toEqual(["see", "01993a5e-7c00-8b1f-9d2e", "now"]);
});

test("a number stays with its unit", () => {
  expect(wrapText("it came 14 ms late", 10)).toEqual(["it came", "14 ms late"]);
});

test("a text that fits is one line", () => {
  expect(wrapText("it fits", 7)).toEqual(["it fits"]);
});
