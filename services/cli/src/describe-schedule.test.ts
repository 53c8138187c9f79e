import { expect, test } from "vitest";
import type { ScheduleImpact } from "./api-answers.ts";
import { describeImpact, describeRule, formatSeconds } from "./describe-schedule.ts";

const nothing = { cron_expression: null, frequency: null, timezone: null, interval_seconds: null, run_at: null };

test("a rule is shown as it was given, a preset with what it means", () => {
  expect(describeRule({ ...nothing, cron_expression: "0 2 * * *", timezone: "UTC" })).toBe("0 2 * * * UTC");
  expect(describeRule({ ...nothing, cron_expression: "0 13 * * *", frequency: "dailyAt(13:00)", timezone: "Europe/Berlin" })).toBe(
    "dailyAt(13:00) = 0 13 * * * Europe/Berlin",
  );
  expect(describeRule({ ...nothing, interval_seconds: 300 })).toBe("every 5m");
  expect(describeRule({ ...nothing, run_at: "2026-03-08T09:00:00.000Z", timezone: "UTC" })).toBe("once at 2026-03-08 09:00:00Z");
});

test.each([
  [1, "1s"],
  [90, "90s"],
  [3_600, "1h"],
  [5_400, "90m"],
  [172_800, "2d"],
])("%d seconds are %s, as options take them", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

const impact: ScheduleImpact = {
  from: "2026-01-01T00:00:00.000Z",
  to: "2026-01-31T00:00:00.000Z",
  runs_before: 30,
  runs_after: 43_200,
  added: 43_170,
  removed: 0,
  first_added: [],
  first_removed: [],
  queue_requests_max: 12_960,
  withdrawn: 0,
  next_run_at: null,
};

test("an impact is one line: runs before and after, what comes and goes, what is withdrawn", () => {
  expect(describeImpact(impact)).toBe("43,200 runs in 30 days where it was 30 (43,170 more, 0 fewer); at most 12,960 queue requests");
  expect(describeImpact({ ...impact, added: null, removed: null, withdrawn: 1 })).toBe(
    "43,200 runs in 30 days where it was 30; at most 12,960 queue requests; 1 run claimed ahead is withdrawn",
  );
  expect(describeImpact({ ...impact, runs_before: 0, runs_after: 1, added: 1, queue_requests_max: 1 })).toBe(
    "1 run in 30 days where it was 0; at most 1 queue request",
  );
  expect(describeImpact({ ...impact, runs_after: 30, added: 0, queue_requests_max: 9 })).toBe(
    "30 runs in 30 days, the same as before; at most 9 queue requests",
  );
});
