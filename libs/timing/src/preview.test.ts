import { expect, test } from "vitest";
import { dstWarnings } from "./dst-warnings.ts";
import type { Timing } from "./plan-due.ts";
import { preview } from "./preview.ts";
import type { CronRule, Rule } from "./rule.ts";

const timing = (rule: Rule, fields: Partial<Timing> = {}): Timing => ({
  rule,
  scheduleId: "11111111-1111-4111-8111-111111111111",
  spread: null,
  misfire: "latest",
  graceMs: null,
  ...fields,
});
const newYork = (cronExpression: string, policies: Partial<CronRule> = {}): Rule => ({
  kind: "cron",
  cronExpression,
  timezone: "America/New_York",
  ...policies,
});
const shown = (rule: Rule, after: string, count: number) =>
  preview(timing(rule), Date.parse(after), count).occurrences.map(({ at, local, dst, slot }) => [
    new Date(at).toISOString().slice(0, 16),
    local,
    dst,
    slot,
  ]);

test("an occurrence is shown in UTC and as the clocks of its zone show it, and says when it stands for a slot that they skip", () => {
  expect(shown(newYork("30 2 * * *"), "2026-03-07T12:00:00Z", 2)).toEqual([
    ["2026-03-08T07:00", "2026-03-08T03:00:00-04:00", "moved_out_of_gap", "2026-03-08T02:30:00"],
    ["2026-03-09T06:30", "2026-03-09T02:30:00-04:00", null, null],
  ]);
  expect(shown(newYork("30 2 * * *", { dstGap: "shift" }), "2026-03-07T12:00:00Z", 1)).toEqual([
    ["2026-03-08T07:30", "2026-03-08T03:30:00-04:00", "moved_out_of_gap", "2026-03-08T02:30:00"],
  ]);
});

test("where clocks show a wall time twice, each occurrence says which of the two it is", () => {
  expect(shown(newYork("30 1 * * *", { dstOverlap: "both" }), "2026-11-01T00:00:00Z", 3).map(([at, , dst]) => [at, dst])).toEqual([
    ["2026-11-01T05:30", "first_of_two"],
    ["2026-11-01T06:30", "second_of_two"],
    ["2026-11-02T06:30", null],
  ]);
});

test("holes between occurrences are named: a blackout, and a slot that is skipped with the clocks", () => {
  const holidays = {
    name: "holidays",
    kind: "blackout" as const,
    timezone: "UTC",
    entries: [{ kind: "yearly" as const, from: 1225, to: 1226 }],
  };
  const daily: Rule = { kind: "cron", cronExpression: "0 9 * * *", timezone: "UTC", calendars: [holidays] };
  const { occurrences, holes } = preview(timing(daily), Date.parse("2026-12-24T00:00:00Z"), 2);
  expect(occurrences.map(({ local }) => local)).toEqual(["2026-12-24T09:00:00+00:00", "2026-12-27T09:00:00+00:00"]);
  expect(holes.map(({ at, reason, detail }) => [new Date(at).toISOString(), reason, detail])).toEqual([
    ["2026-12-25T09:00:00.000Z", "calendar", "holidays"],
    ["2026-12-26T09:00:00.000Z", "calendar", "holidays"],
  ]);
  const skipping = preview(timing(newYork("30 2 * * *", { dstGap: "skip" })), Date.parse("2026-03-07T12:00:00Z"), 2);
  expect(skipping.holes).toMatchObject([{ at: Date.parse("2026-03-08T07:00:00Z"), reason: "dst_gap" }]);
  expect(skipping.holes[0]?.detail).toContain("2026-03-08T02:30:00 does not exist");
});

test("a spread occurrence keeps its nominal instant and shows when it starts, always the same", () => {
  const spread = timing(newYork("0 0 * * *"), { spread: { kind: "duration", windowMs: 900_000 } });
  const { occurrences } = preview(spread, Date.parse("2026-06-01T00:00:00Z"), 2);
  const [first, second] = occurrences.map(({ at, dueAt }) => dueAt - at);
  expect(first).toBe(second);
  expect(first).toBeGreaterThanOrEqual(0);
  expect(first).toBeLessThan(900_000);
});

test("a rule that is over has nothing to come", () => {
  expect(preview(timing({ kind: "once", runAt: 1 }), 1, 5)).toEqual({ occurrences: [], holes: [], isCut: false });
});

test("warnings name the exact instants of the next two clock changes, and only of rules that these concern", () => {
  const after = Date.parse("2026-01-01T00:00:00Z");
  const warnings = (rule: Rule) =>
    dstWarnings(rule, after).map(({ kind, slots }) => [kind, ...slots.map(({ runsAt }) => runsAt.map((at) => new Date(at).toISOString()))]);
  expect(warnings(newYork("30 1,2 * * *"))).toEqual([
    ["gap", ["2026-03-08T07:00:00.000Z"]],
    ["overlap", ["2026-11-01T05:30:00.000Z"]],
  ]);
  expect(warnings(newYork("30 1,2 * * *", { dstGap: "skip", dstOverlap: "both" }))).toEqual([
    ["gap", []],
    ["overlap", ["2026-11-01T05:30:00.000Z", "2026-11-01T06:30:00.000Z"]],
  ]);
  expect(warnings(newYork("0 9 * * *"))).toEqual([]);
  expect(warnings(newYork("*/15 * * * *"))).toEqual([]);
  expect(warnings({ kind: "interval", intervalSeconds: 60, anchorAt: 0 })).toEqual([]);
  expect(warnings({ kind: "cron", cronExpression: "30 2 * * *", timezone: "UTC" })).toEqual([]);
  const [warning] = dstWarnings(newYork("30 2 * * *", { dstGap: "shift" }), after);
  expect(warning?.text).toBe(
    "2026-03-08T02:00:00 to 2026-03-08T03:00:00 do not exist in America/New_York; by dst_gap shift 02:30:00 runs at 2026-03-08T07:30:00.000Z",
  );
});
