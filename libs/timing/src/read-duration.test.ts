import { expect, test } from "vitest";
import { readSeconds, readSpread, showSpread } from "./read-duration.ts";

test.each([
  [90, 90],
  ["90", 90],
  ["30s", 30],
  ["15m", 900],
  ["1.5h", 5_400],
  [" 1d ", 86_400],
])("%j is so many seconds", (given, seconds) => {
  expect(readSeconds(given)).toEqual({ value: seconds });
});

test.each(["", "5 minutes", "m", -5, 0.1, null, "1.0001s", {}])("%j is refused with what would be right", (given) => {
  expect(readSeconds(given)).toEqual({ problem: expect.stringMatching(/must be whole seconds/) });
});

test.each([
  ["15m", { kind: "duration", windowMs: 900_000 }],
  [1, { kind: "duration", windowMs: 1_000 }],
  ["24h", { kind: "duration", windowMs: 86_400_000 }],
  ["50%", { kind: "share", share: 0.5 }],
  ["100 %", { kind: "share", share: 1 }],
] as const)("a spread of %j is read, and shown as it can be read again", (given, spread) => {
  expect(readSpread(given)).toEqual({ value: spread });
  expect(readSpread(showSpread(spread))).toEqual({ value: spread });
});

test.each(["0s", "0%", "101%", "25h", "2d", "half", null, -1])("a spread of %j is refused with what would be right", (given) => {
  expect(readSpread(given)).toEqual({ problem: expect.stringMatching(/must be/) });
});
