import { Command } from "commander";
import { expect, test } from "vitest";
import { addScheduleOptions, type ScheduleOptions, toScheduleFields, toTargetFields } from "./schedule-options.ts";

/** What commander makes of the words of a command line. */
function options(...words: (string | readonly string[])[]): ScheduleOptions {
  const command = addScheduleOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(words.flat(), { from: "user" }).opts();
}

test("every option becomes the field of its name, and what was not given is not sent", () => {
  const given = options(
    ["--cron", "0 9 * * MON-FRI", "--timezone", "Europe/Berlin", "--dst-gap", "shift", "--dst-overlap", "both"],
    ["--starts-at", "2026-01-01T00:00:00Z", "--ends-at", "2027-01-01T00:00:00Z", "--calendar", "holidays", "--calendar", "freeze"],
    ["--spread", "50%", "--misfire", "all", "--grace", "15m", "--overlap", "allow", "--max-instances", "5", "--on-resume", "latest"],
    ["--max-runs", "100", "--max-failures", "3", "--input", '{"a":[1]}'],
  );
  expect(toScheduleFields(given)).toEqual({
    cron_expression: "0 9 * * MON-FRI",
    timezone: "Europe/Berlin",
    dst_gap: "shift",
    dst_overlap: "both",
    starts_at: "2026-01-01T00:00:00Z",
    ends_at: "2027-01-01T00:00:00Z",
    calendars: ["holidays", "freeze"],
    spread: "50%",
    misfire: "all",
    grace_seconds: 900,
    overlap: "allow",
    max_instances: 5,
    on_resume: "latest",
    max_runs: 100,
    max_failures: 3,
    input: { a: [1] },
  });
  expect(toScheduleFields(options("--every", "2h", "--anchor", "2026-01-01T00:00:00Z"))).toEqual({
    interval_seconds: 7_200,
    anchor_at: "2026-01-01T00:00:00Z",
  });
  expect(toScheduleFields(options("--at", "2026-03-08T09:00:00Z"))).toEqual({ run_at: "2026-03-08T09:00:00Z" });
  expect(toScheduleFields(options("--frequency", "dailyAt(13:00)"))).toEqual({ frequency: "dailyAt(13:00)" });
  expect(toScheduleFields(options())).toEqual({});
});

test("none takes away what may be absent", () => {
  const given = options(
    ["--spread", "none", "--grace", "none", "--starts-at", "none", "--ends-at", "none"],
    ["--max-runs", "none", "--max-failures", "none", "--calendar", "none"],
  );
  expect(toScheduleFields(given)).toEqual({
    spread: null,
    grace_seconds: null,
    starts_at: null,
    ends_at: null,
    max_runs: null,
    max_failures: null,
    calendars: [],
  });
});

test.each([
  [["--grace", "a while"], '--grace takes seconds, or a number with s, m, h or d, like 90, 30s or 5m; got "a while"'],
  [["--max-runs", "many"], '--max-runs takes a number; got "many"'],
  [["--max-instances", ""], '--max-instances takes a number; got ""'],
  [["--input", "{a:1}"], "--input is not JSON"],
])("%j cannot be written down: exit code 2", (words, message) => {
  expect(() => toScheduleFields(options(...words))).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
  );
});

test.each([
  ["--misfire", "newest"],
  ["--overlap", "wait"],
  ["--on-resume", "some"],
  ["--dst-gap", "jump"],
  ["--method", "DELETE"],
])("%s %s is refused with what it may be", (option, word) => {
  expect(() => options(option, word)).toThrow(/Allowed choices are/);
});

test("path and method make the target, each by itself too", () => {
  expect(toTargetFields(options())).toBeUndefined();
  expect(toTargetFields(options("--path", "/x"))).toEqual({ path: "/x" });
  expect(toTargetFields(options("--method", "PUT"))).toEqual({ method: "PUT" });
});
