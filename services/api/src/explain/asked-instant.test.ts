import type { CronRule, Rule } from "@downbeat/timing/rule.ts";
import { describe, expect, it, test } from "vitest";
import { gapSlotsAt, readAskedTime, readLocalTime } from "./asked-instant.ts";
import { at, date, scheduleRow } from "./instant-facts.test-support.ts";

describe("what is asked about", () => {
  it.each([
    ["2026-03-08T07:00:00Z", "2026-03-08T07:00:00.000Z"],
    ["2026-03-08T07:00Z", "2026-03-08T07:00:00.000Z"],
    ["2026-03-08T02:30:00-05:00", "2026-03-08T07:30:00.000Z"],
    ["2026-03-08 07:00:00.250Z", "2026-03-08T07:00:00.250Z"],
    [" 2026-03-08t07:00z ", "2026-03-08T07:00:00.000Z"],
    ["2026-03-08T07:00:00 05:00", null],
    ["2026-02-30T07:00:00Z", null],
    ["1969-12-31T23:59:59Z", null],
    ["tomorrow", null],
    ["", null],
  ])("%j is the instant %j", (text, instant) => {
    const time = readAskedTime(text);
    expect(time === null ? null : time.kind === "instant" && new Date(time.at).toISOString()).toBe(instant);
  });

  it.each(["2026-03-08T02:30", "2026-03-08 02:30", "2026-03-08T02:30:00"])("%j is a local time", (text) => {
    expect(readAskedTime(text)).toEqual({ kind: "local", wall: at("2026-03-08T02:30:00Z") });
  });
});

const cron = (cronExpression: string, timezone: string, fields: Partial<CronRule> = {}): CronRule => ({
  kind: "cron",
  cronExpression,
  timezone,
  ...fields,
});
const read = (rule: Rule, local: string) => {
  const row = scheduleRow(rule.kind === "cron" ? { timezone: rule.timezone } : {});
  return readLocalTime(rule, row, at(`${local}Z`));
};

/** The vectors of the timing rules: schedule, local time, the instant that stands for it. */
test.each([
  ["30 2 * * *", "America/New_York", {}, "2026-03-08T02:30:00", "2026-03-08T07:00:00Z", true],
  ["30 2 * * *", "America/New_York", { dstGap: "shift" }, "2026-03-08T02:30:00", "2026-03-08T07:30:00Z", true],
  ["30 2 * * *", "America/New_York", { dstGap: "skip" }, "2026-03-08T02:30:00", "2026-03-08T07:00:00Z", false],
  ["0 0 * * *", "Africa/Cairo", {}, "2026-04-24T00:00:00", "2026-04-23T22:00:00Z", true],
  ["15 2 * * *", "Australia/Lord_Howe", { dstGap: "shift" }, "2026-10-04T02:15:00", "2026-10-03T15:45:00Z", true],
  ["0 9 * * *", "Pacific/Apia", {}, "2011-12-30T09:00:00", "2011-12-30T10:00:00Z", false],
  // A pattern that matches every hour follows real time: nothing stands for a time that no clock shows.
  ["*/15 * * * *", "America/New_York", {}, "2026-03-08T02:30:00", "2026-03-08T07:00:00Z", false],
  ["30 1 * * *", "America/New_York", {}, "2026-11-01T01:30:00", "2026-11-01T05:30:00Z", true],
  ["30 1 * * *", "America/New_York", { dstOverlap: "last" }, "2026-11-01T01:30:00", "2026-11-01T06:30:00Z", true],
  ["45 1 * * *", "Australia/Lord_Howe", { dstOverlap: "last" }, "2026-04-05T01:45:00", "2026-04-04T15:15:00Z", true],
  ["30 1 * * *", "America/New_York", {}, "2026-07-01T01:30:00", "2026-07-01T05:30:00Z", true],
] as const)("%s in %s %j: %s stands for %s (%s)", (expression, timezone, policies, local, instant, isInstant) => {
  expect(read(cron(expression, timezone, policies), local)).toMatchObject({ at: at(instant), isInstant, isNamed: true });
});

describe("a local time that clocks show twice", () => {
  it("names the other instant", () => {
    const reading = read(cron("30 1 * * *", "America/New_York"), "2026-11-01T01:30:00");
    expect(reading).toMatchObject({ shown: "twice", others: [at("2026-11-01T06:30:00Z")] });
    expect(reading.text).toBe(
      "The clocks of America/New_York show 2026-11-01T01:30:00 twice, at 2026-11-01T05:30:00Z and 2026-11-01T06:30:00Z; this is about the first time.",
    );
  });

  it("is, of a one-off, the one at which it runs", () => {
    const rule: Rule = { kind: "once", runAt: at("2026-11-01T06:30:00Z") };
    const row = scheduleRow({ kind: "once", run_at: date("2026-11-01T06:30:00Z"), cron_expression: null });
    expect(readLocalTime(rule, row, at("2026-11-01T01:30:00Z"))).toMatchObject({ at: rule.runAt, others: [at("2026-11-01T05:30:00Z")] });
  });
});

describe("slots that clocks skip", () => {
  const rule = cron("15,30 2 * * *", "America/New_York", { dstGap: "skip" });

  it("are found at the jump, all of them", () => {
    expect(gapSlotsAt(rule, at("2026-03-08T07:00:00Z"))?.slots).toEqual([at("2026-03-08T02:15:00Z"), at("2026-03-08T02:30:00Z")]);
  });

  it("are found where they would have been with the offset of before", () => {
    expect(gapSlotsAt(rule, at("2026-03-08T07:30:00Z"))?.slots).toEqual([at("2026-03-08T02:30:00Z")]);
    expect(gapSlotsAt(rule, at("2026-03-08T07:31:00Z"))).toBeNull();
  });

  it("are none after the gap, on other days, and of rules that follow real time", () => {
    for (const instant of ["2026-03-08T08:00:00Z", "2026-03-09T06:30:00Z", "2026-11-01T06:00:00Z"])
      expect(gapSlotsAt(rule, at(instant))).toBeNull();
    expect(gapSlotsAt(cron("*/15 * * * *", "America/New_York"), at("2026-03-08T07:00:00Z"))).toBeNull();
    expect(gapSlotsAt({ kind: "interval", intervalSeconds: 60, anchorAt: 0 }, at("2026-03-08T07:00:00Z"))).toBeNull();
  });

  it("are found in a day that was left out altogether", () => {
    const apia = cron("0 9 * * *", "Pacific/Apia");
    expect(gapSlotsAt(apia, at("2011-12-30T19:00:00Z"))?.slots).toEqual([at("2011-12-30T09:00:00Z")]);
  });
});
