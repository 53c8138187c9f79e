import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Rule } from "@downbeat/timing/rule.ts";
import { describe, expect, test } from "vitest";
import { backfillLimits, estimateBackfill, planBackfill, type SettledOccurrences } from "./plan-backfill.ts";

const hourMs = 3_600_000;
const at = (text: string) => Date.parse(text);
const hourly: Rule = { kind: "cron", cronExpression: "0 * * * *", timezone: "UTC" };
const secondly: Rule = { kind: "interval", intervalSeconds: 1, anchorAt: 0 };
const nothing: SettledOccurrences = { succeeded: new Set(), underWay: new Set(), unclaimedFrom: Infinity };
const day = { from: at("2026-03-01T00:00:00Z"), to: at("2026-03-02T00:00:00Z") };

async function plan(rule: Rule, stretch = day, settled: Partial<SettledOccurrences> = {}) {
  const result = await planBackfill(rule, stretch, { ...nothing, ...settled });
  if (!result.ok) throw new Error(`too much: ${JSON.stringify(result.excess)}`);
  return result.plan;
}

describe("the plan of a backfill", () => {
  test("leaves out an occurrence at `from` and includes one at `to`", async () => {
    const { occurrences, planned, first, last } = await plan(hourly);
    expect([occurrences, planned]).toEqual([24, 24]);
    expect([first[0], last.at(-1)]).toEqual([day.from + hourMs, day.to]);
  });

  test("two stretches that meet have together the occurrences of the whole", async () => {
    const middle = day.from + 7 * hourMs;
    const [whole, before, after] = await Promise.all([
      plan(hourly),
      plan(hourly, { from: day.from, to: middle }),
      plan(hourly, { from: middle, to: day.to }),
    ]);
    expect(before.planned + after.planned).toBe(whole.planned);
  });

  test("leaves out what has succeeded, what is under way and what the schedule itself has yet to claim, and says how many", async () => {
    const hour = (n: number) => day.from + n * hourMs;
    const settled = { succeeded: new Set([hour(1), hour(2), hour(2) + 1]), underWay: new Set([hour(23)]), unclaimedFrom: hour(24) };
    expect(await plan(hourly, day, settled)).toMatchObject({
      occurrences: 24,
      leftOut: { succeeded: 2, underWay: 2 },
      planned: 20,
      first: Array.from({ length: 10 }, (_, index) => hour(3 + index)),
      last: Array.from({ length: 10 }, (_, index) => hour(13 + index)),
    });
  });

  test("lists no instant twice where there are few", async () => {
    const { first, last } = await plan(hourly, { from: day.from, to: day.from + 12 * hourMs });
    expect([first.length, last.length]).toEqual([10, 2]);
    expect(new Set([...first, ...last]).size).toBe(12);
    expect(await plan(hourly, { from: day.from, to: day.from + 1 })).toMatchObject({ planned: 0, first: [], last: [] });
  });

  test("follows the rule's zone, bounds and calendars", async () => {
    const newYork: Rule = { kind: "cron", cronExpression: "30 2 * * *", timezone: "America/New_York" };
    const over = { from: at("2026-03-07T12:00:00Z"), to: at("2026-03-09T12:00:00Z") };
    expect((await plan(newYork, over)).first).toEqual([at("2026-03-08T07:00:00Z"), at("2026-03-09T06:30:00Z")]);
    const bounded: Rule = { ...hourly, startsAt: day.from + 20 * hourMs };
    expect((await plan(bounded)).planned).toBe(5);
    const noMornings = {
      name: "no mornings",
      kind: "blackout" as const,
      timezone: "UTC",
      entries: [{ kind: "weekly" as const, weekdays: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, toMinute: 720 }],
    };
    expect((await plan({ ...hourly, calendars: [noMornings] })).planned).toBe(12);
  });

  test("of as many occurrences as one backfill may have is made", async () => {
    const most = backfillLimits.occurrencesMax;
    expect((await plan(secondly, { from: 0, to: most * 1_000 })).planned).toBe(most);
  });

  test("of more is refused with how many there are, and where the first of several may end", async () => {
    const most = backfillLimits.occurrencesMax;
    const settled = { ...nothing, succeeded: new Set([1_000]) };
    const count = most + 5_000;
    expect(await planBackfill(secondly, { from: 0, to: count * 1_000 }, settled)).toEqual({
      ok: false,
      excess: { kind: "occurrences", count, upTo: most * 1_000 },
    });
    expect((await plan(secondly, { from: 0, to: most * 1_000 })).planned).toBe(most);
  });

  test("counts years of a rule, however many runs that would be", async () => {
    const minutely: Rule = { kind: "cron", cronExpression: "* * * * *", timezone: "UTC" };
    const stretch = { from: at("2020-01-01T00:00:00Z"), to: at("2026-01-01T00:00:00Z") };
    const result = await planBackfill(minutely, stretch, nothing);
    expect(result).toMatchObject({ ok: false, excess: { count: (stretch.to - stretch.from) / 60_000 } });
  });

  test("with runs on more days than one backfill may have is refused, and where the first of several may end is such a stretch", async () => {
    const daily: Rule = { kind: "cron", cronExpression: "0 9 * * *", timezone: "UTC" };
    const stretch = { from: at("2020-01-01T00:00:00Z"), to: at("2026-01-01T00:00:00Z") };
    const result = await planBackfill(daily, stretch, nothing);
    const upTo = result.ok ? 0 : result.excess.upTo;
    expect(result).toMatchObject({ ok: false, excess: { kind: "days" } });
    expect((await plan(daily, { from: stretch.from, to: upTo })).planned).toBe(backfillLimits.daysMax);
    const monthly: Rule = { kind: "cron", cronExpression: "0 9 1 * *", timezone: "UTC" };
    expect((await plan(monthly, stretch)).planned).toBe(72);
  });

  test("leaves other requests their turn while it walks", async () => {
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await plan(secondly, { from: 0, to: 50_000_000 });
    isOver = true;
    expect(turns).toBeGreaterThan(10);
  });
});

describe("the estimate", () => {
  test("is rounds of runs at the pace of the newest ones", () => {
    const estimate = estimateBackfill({ planned: 50, concurrency: 5, meanRunMs: 1_850 });
    expect(estimate).toEqual({ meanRunMs: 1_850, runsPerMinute: 150, seconds: 20 });
  });

  test("assumes a second for a schedule without runs, and says so", () => {
    expect(estimateBackfill({ planned: 10, concurrency: 1, meanRunMs: null })).toEqual({
      meanRunMs: null,
      runsPerMinute: 52.2,
      seconds: 12,
    });
  });

  test("of nothing is nothing", () => {
    expect(estimateBackfill({ planned: 0, concurrency: 1, meanRunMs: 100 }).seconds).toBe(0);
  });
});

test("what a plan lists are occurrences of the rule", async () => {
  const rule: Rule = { kind: "cron", cronExpression: "*/7 2-9 * * 1-5", timezone: "Europe/Berlin" };
  const { first, last } = await plan(rule, { from: at("2026-03-20T00:00:00Z"), to: at("2026-04-03T00:00:00Z") });
  for (const instant of [...first, ...last]) expect(nextOccurrence(rule, instant - 1)).toBe(instant);
});
