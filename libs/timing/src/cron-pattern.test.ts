import { expect, test } from "vitest";
import { compileCronPattern, nextWallTime } from "./cron-pattern.ts";

test.each([
  ["0 * * * *", true],
  ["0 */1 * * *", true],
  ["0 0-23 * * *", true],
  ["0 0-11,12-23 * * *", true],
  ["0 2 * * *", false],
  ["0 */2 * * *", false],
  ["0 0-22 * * *", false],
])("%s matches every hour: %s", (expression, expected) => {
  expect(compileCronPattern(expression).matchesEveryHour).toBe(expected);
});

test("an expression is compiled once", () => {
  expect(compileCronPattern("1 2 3 4 *")).toBe(compileCronPattern("1 2 3 4 *"));
});

test("patterns that share their table of years do not share their years", () => {
  const from = Date.UTC(2026, 5, 1);
  const leapYearsOnly = compileCronPattern("0 0 0 1 1 * 2028");
  expect(nextWallTime(compileCronPattern("0 0 1 1 *"), from)).toBe(Date.UTC(2027, 0, 1));
  expect(nextWallTime(leapYearsOnly, from)).toBe(Date.UTC(2028, 0, 1));
  expect(nextWallTime(leapYearsOnly, Date.UTC(2028, 0, 1))).toBeNull();
});

test("the next wall time is strictly later, also within a second", () => {
  const everySecond = compileCronPattern("* * * * * *");
  expect(nextWallTime(everySecond, 1_000)).toBe(2_000);
  expect(nextWallTime(everySecond, 999)).toBe(1_000);
  expect(nextWallTime(everySecond, 1_001)).toBe(2_000);
});
