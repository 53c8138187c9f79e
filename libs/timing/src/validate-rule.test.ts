import { describe, expect, test } from "vitest";
import type { RuleInput, RuleProblem } from "./rule-input.ts";
import type { Rule } from "./rule.ts";
import { validateRule } from "./validate-rule.ts";

const nowAt = Date.parse("2026-06-01T12:00:00.250Z");

function accepted(input: RuleInput): { rule: Rule; firstAt: string } {
  const validation = validateRule(input, { nowAt });
  if (!validation.ok) throw new Error(JSON.stringify(validation.problems));
  return { rule: validation.rule, firstAt: new Date(validation.firstAt).toISOString() };
}

function problemsOf(input: RuleInput, intervalSecondsMin = 1): RuleProblem[] {
  const validation = validateRule(input, { nowAt, intervalSecondsMin });
  return validation.ok ? [] : validation.problems;
}

/** The only problem, as `field message`. */
function problemOf(input: RuleInput): string {
  const problems = problemsOf(input);
  expect(problems).toHaveLength(1);
  return `${problems[0]?.field} ${problems[0]?.message}`;
}

const cron = (cron_expression: unknown): RuleInput => ({ kind: "cron", cron_expression });
const inZone = (timezone: unknown): RuleInput => ({ kind: "cron", cron_expression: "0 9 * * *", timezone });
const every = (interval_seconds: unknown): RuleInput => ({ kind: "interval", interval_seconds });

describe("what is accepted", () => {
  test("a cron rule, in UTC unless it says otherwise, with its white space tidied", () => {
    expect(accepted(cron("  0  9 * *\tMON-FRI ")).rule).toEqual({ kind: "cron", cronExpression: "0 9 * * MON-FRI", timezone: "UTC" });
    expect(accepted(inZone("America/New_York")).firstAt).toBe("2026-06-01T13:00:00.000Z");
  });

  test("an interval rule, anchored at its creation unless it says otherwise", () => {
    expect(accepted(every(60))).toEqual({
      rule: { kind: "interval", intervalSeconds: 60, anchorAt: nowAt },
      firstAt: "2026-06-01T12:01:00.250Z",
    });
    expect(accepted({ ...every(60), anchor_at: "2020-01-01T00:00:30Z" }).firstAt).toBe("2026-06-01T12:00:30.000Z");
    expect(accepted({ ...every(60), anchor_at: "2027-01-01T00:00:00Z" }).firstAt).toBe("2027-01-01T00:01:00.000Z");
  });

  test("a once rule, at an instant with any offset", () => {
    expect(accepted({ kind: "once", run_at: "2026-06-02T09:00:00+02:00" })).toEqual({
      rule: { kind: "once", runAt: Date.parse("2026-06-02T07:00:00Z") },
      firstAt: "2026-06-02T07:00:00.000Z",
    });
  });

  test("bounds, both inclusive", () => {
    const bounded = { ...cron("0 0 * * *"), starts_at: "2026-07-01T00:00:00Z", ends_at: "2026-07-01T00:00:00Z" };
    expect(accepted(bounded)).toEqual({
      rule: { kind: "cron", cronExpression: "0 0 * * *", timezone: "UTC", startsAt: Date.UTC(2026, 6, 1), endsAt: Date.UTC(2026, 6, 1) },
      firstAt: "2026-07-01T00:00:00.000Z",
    });
  });

  test("a cron rule that starts late is given its five years from there", () => {
    expect(accepted({ ...cron("0 0 29 2 *"), starts_at: "2033-01-01T00:00:00Z" }).firstAt).toBe("2036-02-29T00:00:00.000Z");
  });

  test("null stands for an absent field", () => {
    expect(problemsOf({ ...cron("0 0 * * *"), interval_seconds: null, timezone: null, ends_at: null })).toEqual([]);
  });

  test.each([
    "America/New_York",
    "america/new_york",
    "Asia/Kolkata",
    "Asia/Calcutta",
    "Europe/Kyiv",
    "US/Eastern",
    "EST",
    "EST5EDT",
    "GMT",
    "GMT+0",
    "Zulu",
    "Etc/GMT-2",
    "Etc/UTC",
  ])("the zone name %s, kept as it was written", (timezone) => expect(accepted(inZone(timezone)).rule).toMatchObject({ timezone }));
});

describe("what is refused, and what the user is told", () => {
  test.each([
    ["61 * * * *", 'cron_expression minute is "61"; allowed: 0–59. '],
    ["* 24 * * *", 'cron_expression hour is "24"; allowed: 0–23. '],
    ["* * 32 * *", 'cron_expression day of month is "32"; allowed: 1–31, '],
    ["* * * JANUARY *", 'cron_expression month is "JANUARY"; allowed: 1–12 or JAN–DEC. '],
    ["* * * * 8", 'cron_expression day of week is "8"; allowed: 0–7 or SUN–SAT '],
    ["60 * * * * *", 'cron_expression second is "60"; allowed: 0–59. '],
    ["* * * * * * 0", 'cron_expression year is "0"; allowed: 1–9999. '],
    [
      "*/0 * * * *",
      'cron_expression minute is "*/0"; allowed: 0–59. Besides single values: *, lists (1,15), ranges from low to high (1-5) and steps of at least 1',
    ],
    ["5/15 22-2 * * *", 'cron_expression minute is "5/15"; allowed: 0–59. hour is "22-2"; allowed: 0–23. '],
    ["0 0 30 2 *", 'cron_expression "0 0 30 2 *" never fires: month 2 has no day 30; its last day is written L'],
    ["0 0 0 1 1 * 2020", 'cron_expression "0 0 0 1 1 * 2020" never fires: no date to come matches it'],
    ["0 0 0 1 1 * 2040", 'cron_expression "0 0 0 1 1 * 2040" would first fire at 2040-01-01T00:00:00.000Z; it must fire within five years'],
    ["* * * *", 'cron_expression "* * * *" has 4 fields; a cron expression has 5 '],
    ["", 'cron_expression "" has 0 fields; a cron expression has 5 '],
    ["hello", 'cron_expression "hello" has 1 field; a cron expression has 5 '],
    ["24:00", 'cron_expression "24:00" is a time of day; as a cron expression, every day at that time is "0 0 * * *"'],
    ["2026-06-02T00:00:00", 'cron_expression "2026-06-02T00:00:00" is a date; for a single run use kind "once" with run_at'],
    ["@every 5m", 'cron_expression "@every 5m" is a fixed period; use kind "interval" with interval_seconds 300'],
    ["@reboot", 'cron_expression "@reboot" waits for a machine to start, '],
    [`${"0,".repeat(200)}0 * * * *`, "cron_expression has 409 characters; at most 256 are read"],
    [5, "cron_expression is 5; it must be a text like "],
    [undefined, "cron_expression is missing"],
  ])("the expression %j", (expression, message) => expect(problemOf(cron(expression))).toContain(message));

  test.each([
    ["America/NewYork", 'timezone "America/NewYork" is not a known time zone; did you mean "America/New_York"?'],
    ["Asia/Kolkatta", 'timezone "Asia/Kolkatta" is not a known time zone; did you mean "Asia/Kolkata"?'],
    ["Mars/Olympus_Mons", 'timezone "Mars/Olympus_Mons" is not a known time zone; IANA names look like "Europe/Berlin"'],
    ["", 'timezone "" is not a known time zone; '],
    ["Europe/Berlin\n", String.raw`timezone "Europe/Berlin\n" is not a known time zone; did you mean "Europe/Berlin"?`],
    [
      "+02:00",
      'timezone "+02:00" is an offset, which does not follow daylight saving; name a zone like "Europe/Berlin", or "Etc/GMT-2" if it should never change',
    ],
    ["UTC-5", 'or "Etc/GMT+5" if'],
    ["+05:30", 'timezone "+05:30" is an offset, which does not follow daylight saving; name a zone like "Europe/Berlin"'],
    ["BST", 'timezone "BST" is an abbreviation that means different zones to different people; '],
    [2, "timezone is 2; it must be an IANA name like "],
  ])("the zone %j", (timezone, message) => expect(problemOf(inZone(timezone))).toContain(message));

  test.each([0, -5, 1.5, "60", Number.NaN, 366 * 86_400 + 1])("the interval %j", (seconds) => {
    expect(problemOf(every(seconds))).toMatch(
      /^interval_seconds is .*; it must be a whole number of seconds from 1 to 31622400 \(366 days\)$/,
    );
  });

  test("an interval below the caller's minimum", () => {
    expect(problemsOf(every(59), 60)).toEqual([
      { field: "interval_seconds", value: 59, message: "is 59; it must be a whole number of seconds from 60 to 31622400 (366 days)" },
    ]);
    expect(problemsOf(every(60), 60)).toEqual([]);
  });

  test("a once rule in the past, or at this very instant", () => {
    expect(problemOf({ kind: "once", run_at: "2026-06-01T12:00:00Z" })).toBe(
      "run_at is 2026-06-01T12:00:00.000Z, which is in the past; it must be later than 2026-06-01T12:00:00.250Z",
    );
    expect(problemOf({ kind: "once", run_at: "2026-06-01T12:00:00.250Z" })).toContain("in the past");
  });

  test("a local time without the zone it is read in", () => {
    expect(problemOf({ kind: "once", run_at: "2026-06-02T09:00:00" })).toBe(
      'run_at is "2026-06-02T09:00:00", a local time; give timezone with it, or an offset like "Z" or "-05:00"',
    );
  });

  test.each(["2026-06-02", "tomorrow", 1_780_000_000, "2026-02-30T00:00:00Z"])("the instant %j", (run_at) => {
    expect(problemOf({ kind: "once", run_at })).toMatch(/^run_at is .*; it must be a date and time with an offset, like /);
  });

  test("bounds that leave no occurrence", () => {
    const daily = cron("0 0 * * *");
    expect(problemOf({ ...daily, starts_at: "2026-08-01T00:00:00Z", ends_at: "2026-07-01T00:00:00Z" })).toBe(
      "ends_at is 2026-07-01T00:00:00.000Z; it must not be before starts_at, 2026-08-01T00:00:00.000Z",
    );
    expect(problemOf({ ...daily, ends_at: "2026-06-01T23:00:00Z" })).toBe(
      "ends_at is 2026-06-01T23:00:00.000Z; the first occurrence is after that, at 2026-06-02T00:00:00.000Z",
    );
    expect(problemOf({ ...every(60), ends_at: "2020-01-01T00:00:00Z" })).toContain("the first occurrence is after that");
    expect(problemOf({ kind: "once", run_at: "2026-07-01T00:00:00Z", starts_at: "2026-08-01T00:00:00Z" })).toBe(
      "starts_at is after the only occurrence, run_at",
    );
  });

  test("fields of another kind", () => {
    expect(problemOf({ ...cron("0 0 * * *"), interval_seconds: 60 })).toBe(
      'interval_seconds belongs to kind "interval"; this rule is of kind "cron"',
    );
    expect(problemOf({ ...every(60), timezone: "UTC" })).toBe('timezone belongs to kind "cron"; this rule is of kind "interval"');
  });

  test("an unknown kind", () => {
    expect(problemOf({ kind: "weekly" })).toBe('kind is "weekly"; it must be "cron", "interval" or "once"');
    expect(problemOf({ kind: "toString" })).toContain("kind is");
    expect(problemOf({})).toBe('kind is null; it must be "cron", "interval" or "once"');
  });

  test("everything that is wrong, at once and with the values that were sent", () => {
    const problems = problemsOf({
      kind: "cron",
      cron_expression: "61 * * * *",
      timezone: "Nowhere",
      starts_at: "soon",
      run_at: "2026-07-01T00:00:00Z",
    });
    expect(problems.map(({ field, value }) => [field, value])).toEqual([
      ["run_at", "2026-07-01T00:00:00Z"],
      ["starts_at", "soon"],
      ["cron_expression", "61 * * * *"],
      ["timezone", "Nowhere"],
    ]);
  });
});
