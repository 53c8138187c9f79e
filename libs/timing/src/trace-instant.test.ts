import { expect, test } from "vitest";
import { traceInstant, traceLocal } from "./trace-instant.ts";
import type { CronRule, Rule } from "./rule.ts";

const newYork = (cronExpression: string, policies: Partial<CronRule> = {}): CronRule => ({
  kind: "cron",
  cronExpression,
  timezone: "America/New_York",
  ...policies,
});
const trace = (rule: Rule, at: string) => traceInstant(rule, Date.parse(at));
const wall = (text: string) => Date.parse(`${text}Z`);

test.each([
  ["a match", newYork("0 9 * * *"), "2026-06-01T13:00:00Z", "occurrence"],
  ["no match", newYork("0 9 * * *"), "2026-06-01T13:01:00Z", "no_match"],
  ["a slot moved out of a gap", newYork("30 2 * * *"), "2026-03-08T07:00:00Z", "occurrence"],
  ["the same slot where it is skipped", newYork("30 2 * * *", { dstGap: "skip" }), "2026-03-08T07:00:00Z", "no_match"],
  ["the second showing of a slot that runs at its first", newYork("30 1 * * *"), "2026-11-01T06:30:00Z", "dst_overlap"],
  ["the second showing where it runs at both", newYork("30 1 * * *", { dstOverlap: "both" }), "2026-11-01T06:30:00Z", "occurrence"],
  ["before its start", newYork("0 9 * * *", { startsAt: Date.parse("2026-07-01T00:00:00Z") }), "2026-06-01T13:00:00Z", "before_start"],
  ["after its end", newYork("0 9 * * *", { endsAt: Date.parse("2026-05-01T00:00:00Z") }), "2026-06-01T13:00:00Z", "after_end"],
  ["an interval's instant", { kind: "interval", intervalSeconds: 60, anchorAt: 0 }, "2026-06-01T13:00:00Z", "occurrence"],
  ["between two of an interval", { kind: "interval", intervalSeconds: 60, anchorAt: 0 }, "2026-06-01T13:00:30Z", "no_match"],
  ["a one-off's instant", { kind: "once", runAt: Date.parse("2026-06-01T13:00:00Z") }, "2026-06-01T13:00:00Z", "occurrence"],
] as [string, Rule, string, string][])("%s is told for what it is, with the occurrences around it", (_, rule, at, verdict) => {
  const answer = trace(rule, at);
  expect(answer.verdict).toBe(verdict);
  expect(answer.isOccurrence).toBe(verdict === "occurrence");
  expect(answer.steps.every(({ text }) => text.endsWith("."))).toBe(true);
  expect(answer.previousAt ?? -Infinity).toBeLessThan(Date.parse(at));
  expect(answer.nextAt ?? Infinity).toBeGreaterThan(Date.parse(at));
});

test("a calendar that refuses is named, and so is the lack of one that admits", () => {
  const period = { kind: "period" as const, from: Date.parse("2026-06-01T00:00:00Z"), to: Date.parse("2026-06-02T00:00:00Z") };
  const calendar = (kind: "allow" | "blackout") => ({ name: `the ${kind}`, kind, timezone: "UTC", entries: [period] });
  const blackout = trace(newYork("0 9 * * *", { calendars: [calendar("blackout")] }), "2026-06-01T13:00:00Z");
  expect([blackout.verdict, blackout.steps.at(-1)?.text]).toEqual(["calendar", 'The calendar "the blackout" is a blackout then.']);
  const outside = trace(newYork("0 9 * * *", { calendars: [calendar("allow")] }), "2026-06-03T13:00:00Z");
  expect([outside.verdict, outside.steps.at(-1)?.text]).toEqual(["calendar", "No allow calendar has this instant: the allow."]);
});

test("a local time answers the instants it stands for: none where it is dropped, two where it runs twice", () => {
  const instants = (rule: CronRule, local: string) => traceLocal(rule, wall(local)).instants.map((at) => new Date(at).toISOString());
  expect(instants(newYork("30 2 * * *"), "2026-06-01T02:30:00")).toEqual(["2026-06-01T06:30:00.000Z"]);
  expect(instants(newYork("30 2 * * *"), "2026-03-08T02:30:00")).toEqual(["2026-03-08T07:00:00.000Z"]);
  expect(instants(newYork("30 2 * * *", { dstGap: "shift" }), "2026-03-08T02:30:00")).toEqual(["2026-03-08T07:30:00.000Z"]);
  expect(instants(newYork("30 2 * * *", { dstGap: "skip" }), "2026-03-08T02:30:00")).toEqual([]);
  expect(instants(newYork("30 1 * * *", { dstOverlap: "both" }), "2026-11-01T01:30:00")).toEqual([
    "2026-11-01T05:30:00.000Z",
    "2026-11-01T06:30:00.000Z",
  ]);
});
