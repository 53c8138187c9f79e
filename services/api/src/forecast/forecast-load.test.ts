import { randomUUID } from "node:crypto";
import { arbitraryInstant, arbitraryRule } from "@downbeat/timing/arbitrary-rules.test-support.ts";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { nextDue } from "@downbeat/timing/plan-due.ts";
import type { Rule } from "@downbeat/timing/rule.ts";
import type { Spread } from "@downbeat/timing/spread.ts";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Forecast, ForecastLoad, type ForecastOptions, type ForecastSchedule } from "./forecast-load.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
const unlimited = { stepsMax: Infinity, groupStepsMax: Infinity, breathe: () => Promise.resolve() };

const midnight: Rule = { kind: "cron", cronExpression: "0 0 * * *", timezone: "UTC" };
const monday = Date.UTC(2026, 2, 2);

function schedule(given: Partial<ForecastSchedule> = {}): ForecastSchedule {
  const id = randomUUID();
  const nothing = { spread: null, pausedUntil: null, maintenance: null, startsLeft: null };
  return { id, name: `schedule ${id}`, tenantId: "acme", endpointId: "shop", rule: midnight, ...nothing, ...given };
}

interface Asked extends Partial<ForecastOptions> {
  from?: number;
  minutes?: number;
}

function forecast(
  schedules: readonly ForecastSchedule[],
  { from = monday, minutes = 7 * 1_440, ...options }: Asked = {},
): Promise<Forecast> {
  const load = new ForecastLoad({ fromMinute: from / minuteMs, minutes });
  for (const one of schedules) load.add(one);
  return load.compute({ ...unlimited, ...options });
}

/** Every schedule on its own, occurrence by occurrence. */
function bruteForce(schedules: readonly ForecastSchedule[], from: number, minutes: number): Map<number, Map<ForecastSchedule, number>> {
  const to = from + minutes * minuteMs;
  const byMinute = new Map<number, Map<ForecastSchedule, number>>();
  for (const one of schedules) {
    const timing = { rule: one.rule, scheduleId: one.id, spread: one.spread, misfire: "latest" as const, graceMs: null };
    let left = one.startsLeft ?? Infinity;
    for (let next = nextDue(timing, from - dayMs - 1); next !== null && next.at < to && left > 0; next = nextDue(timing, next.at)) {
      const { dueAt } = next;
      if (dueAt < from || dueAt >= to || dueAt < (one.pausedUntil ?? 0)) continue;
      if (one.maintenance !== null && dueAt >= one.maintenance.from && dueAt < (one.maintenance.until ?? Infinity)) continue;
      const minute = Math.floor(dueAt / minuteMs);
      const starts = byMinute.get(minute) ?? new Map<ForecastSchedule, number>();
      byMinute.set(minute, starts.set(one, (starts.get(one) ?? 0) + 1));
      left -= 1;
    }
  }
  return byMinute;
}

describe("the forecast of many schedules", () => {
  const arbitrarySpread: fc.Arbitrary<Spread | null> = fc.oneof(
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 90_000_000 }).map((ms): Spread => ({ kind: "duration", windowMs: ms })) },
    { weight: 1, arbitrary: fc.constantFrom(0.1, 0.5, 1).map((share): Spread => ({ kind: "share", share })) },
  );
  const optional = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { freq: 4 });
  const around = fc.integer({ min: -600 * minuteMs, max: 2_600 * minuteMs });

  it("counts in each minute what every schedule by itself would start, and names who makes the peaks", async () => {
    // Few rules and many schedules of each, as installations have them.
    const arbitraryCase = fc.record({
      from: arbitraryInstant.map((at) => Math.floor(at / minuteMs) * minuteMs),
      minutes: fc.integer({ min: 1, max: 2_000 }),
      kinds: fc.array(
        fc.record({
          rule: arbitraryRule,
          spread: arbitrarySpread,
          count: fc.integer({ min: 1, max: 12 }),
          endpoints: fc.integer({ min: 1, max: 3 }),
          pausedUntil: optional(around),
          maintenance: optional(fc.tuple(around, optional(fc.integer({ min: 0, max: 900 * minuteMs })))),
          startsLeft: optional(fc.nat(20)),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(arbitraryCase, async ({ from, minutes, kinds }) => {
        const schedules = kinds.flatMap(({ count, rule, spread, endpoints, pausedUntil, maintenance, startsLeft }, kind) => {
          // A spread of a rule of every minute or more is left out of account.
          const isDense = countOccurrences(rule, from, from + minutes * minuteMs) >= minutes;
          return Array.from({ length: count }, (_, index) =>
            schedule({
              tenantId: `tenant ${index % 2}`,
              endpointId: `endpoint ${index % endpoints} of tenant ${index % 2}`,
              name: `${kind}/${index}`,
              rule: rule.kind === "interval" ? { ...rule, anchorAt: rule.anchorAt + index * 37 } : rule,
              spread: isDense ? null : spread,
              pausedUntil: pausedUntil === null ? null : from + pausedUntil,
              maintenance:
                maintenance === null
                  ? null
                  : { from: from + maintenance[0], until: maintenance[1] === null ? null : from + maintenance[0] + maintenance[1] },
              startsLeft,
            }),
          );
        });
        const expected = bruteForce(schedules, from, minutes);
        const found = await forecast(schedules, { from, minutes });
        const countAt = (minute: number) => [...(expected.get(minute)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
        expect([...found.minutes]).toEqual(Array.from({ length: minutes }, (_, place) => countAt(from / minuteMs + place)));
        const largest = [...expected.keys()].sort((a, b) => countAt(b) - countAt(a) || a - b).slice(0, 20);
        expect(found.peaks.map(({ minute }) => minute)).toEqual(largest);
        for (const peak of found.peaks) {
          const starts = [...(expected.get(peak.minute) ?? [])];
          const sumOf = (of: (one: ForecastSchedule) => string) => {
            const sums = new Map<string, number>();
            for (const [one, count] of starts) sums.set(of(one), (sums.get(of(one)) ?? 0) + count);
            return [...sums]
              .map(([id, count]) => ({ id, count }))
              .sort((a, b) => b.count - a.count || (a.id < b.id ? -1 : 1))
              .slice(0, 5);
          };
          const names = starts.sort(([a, aCount], [b, bCount]) => bCount - aCount || (a.name < b.name ? -1 : 1));
          expect(peak).toEqual({
            minute: peak.minute,
            count: countAt(peak.minute),
            schedules: starts.length,
            topEndpoints: sumOf((one) => one.endpointId),
            topTenants: sumOf((one) => one.tenantId),
            topSchedules: names.slice(0, 5).map(([{ id, name }, count]) => ({ id, name, count })),
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  it("of 100,000 schedules of one rule evaluates the rule once", async () => {
    const schedules = Array.from({ length: 100_000 }, () => schedule());
    const { peaks, leftOut } = await forecast(schedules, { stepsMax: 50 });
    expect(leftOut).toBe(0);
    expect(peaks.map(({ count, schedules: started }) => [count, started])).toEqual(Array.from({ length: 7 }, () => [100_000, 100_000]));
  });

  it("of intervals created at thousands of instants evaluates as many rules as there are phases", async () => {
    const schedules = Array.from({ length: 5_000 }, (_, index) =>
      schedule({ rule: { kind: "interval", intervalSeconds: 600, anchorAt: monday - dayMs - index * 1_237 } }),
    );
    const { minutes, leftOut } = await forecast(schedules, { minutes: 60, stepsMax: 600 * 4 });
    expect(leftOut).toBe(0);
    expect(minutes.reduce((sum, count) => sum + count, 0)).toBe(5_000 * 6);
  });

  it("leaves out the smallest groups when there is too much to evaluate, and says how many schedules that were", async () => {
    const herd = Array.from({ length: 50 }, () => schedule());
    const others = Array.from({ length: 100 }, (_, index) =>
      schedule({ rule: { kind: "cron", cronExpression: `${index % 60} ${index % 24} * * *`, timezone: "Europe/Berlin" } }),
    );
    const { minutes, leftOut } = await forecast([...others, ...herd], { stepsMax: 300 });
    expect(minutes[0]).toBe(50);
    expect(leftOut).toBeGreaterThan(20);
    expect(minutes.reduce((sum, count) => sum + count, 0)).toBe((150 - leftOut) * 7);
  });

  it("does not let one odd rule use up what the others need, nor one that cannot be evaluated spoil the rest", async () => {
    const odd = { kind: "cron" as const, cronExpression: "* * 0-22 * * *", timezone: "Europe/Berlin" };
    const broken = { kind: "cron" as const, cronExpression: "0 0 * * *", timezone: "Mars/Phobos" };
    const schedules = [schedule({ rule: odd }), schedule({ rule: odd }), schedule({ rule: broken }), schedule()];
    const from = Date.UTC(2026, 2, 29);
    const { minutes, leftOut } = await forecast(schedules, { from, stepsMax: 5_000, groupStepsMax: 1_000 });
    expect([leftOut, minutes.reduce((sum, count) => sum + count, 0)]).toEqual([3, 7]);
  });
});
