import { expect, test } from "vitest";
import type { Forecast } from "./api-answers.ts";
import { describeForecast } from "./describe-forecast.ts";

const tenant = { id: "t", slug: "acme" };
const minute = (time: string) => `2026-03-02T${time}:00.000Z`;
const hour = (at: number, count: number, busiest: number) => ({
  hour: minute(`${String(at).padStart(2, "0")}:00`),
  count,
  busiest_minute_count: busiest,
});

function peak(time: string, count: number, name: string, seconds: number | null = null): Forecast["peaks"][number] {
  return {
    minute: minute(time),
    count,
    schedules: count,
    seconds,
    endpoints: [{ id: "e", name: "shop", tenant, count }],
    top_schedules: [{ id: "s", name, count: 1 }],
  };
}

const forecast: Forecast = {
  from: minute("00:00"),
  to: "2026-03-03T00:00:00.000Z",
  schedules: 1_100,
  occurrences: 2_240,
  runs_per_minute_mean: 1.556,
  peaks: [peak("00:00", 1_000, "report 1", 20), peak("06:30", 200, "sync\u001b[2J", 4)],
  hours: [hour(0, 1_000, 1_000), hour(1, 0, 0), hour(6, 1_230, 200), hour(7, 10, 1)],
  days: [{ day: "2026-03-02", count: 2_240, used: 0, limit: null, is_over: null }],
  limits: { slots: 50, call_seconds: 1, peak_seconds: 20 },
  is_cut: false,
  left_out: 0,
};

test("a forecast is a sum, its busiest minute, its busiest day with a bar for each hour, and the peaks", () => {
  expect(describeForecast(forecast)).toEqual([
    "2026-03-02 00:00Z to 2026-03-03 00:00Z: 1,100 schedules, 2,240 runs, 1.56 a minute on average",
    "busiest minute 2026-03-02 00:00Z: 1,000 runs, 643 times the average; with 50 slots and 1 s a call that takes 20.0 s",
    "",
    "2026-03-02, the busiest day, by the hour (UTC)",
    `00:00  1,000  ${"#".repeat(33)}         up to 1,000 a minute`,
    "01:00      0",
    `06:00  1,230  ${"#".repeat(40)}  up to 200 a minute`,
    `07:00     10  #${" ".repeat(39)}  up to 1 a minute`,
    "",
    "MINUTE              RUNS   TAKES  SCHEDULES  ENDPOINTS   SUCH AS",
    "2026-03-02 00:00Z  1,000  20.0 s      1,000  shop 1,000  report 1",
    "2026-03-02 06:30Z    200   4.0 s        200  shop 200    sync [2J",
    "",
    "next: downbeat schedules spread --within 15m --dry-run, with a filter that finds schedules like report 1",
  ]);
});

test("without slots there is no column for them; an administrator sees the tenants of a peak", () => {
  const [first] = forecast.peaks;
  if (first === undefined) throw new Error("no peak");
  const limits = { slots: null, call_seconds: 1, peak_seconds: null };
  const lines = describeForecast({ ...forecast, limits, peaks: [{ ...first, seconds: null, tenants: [{ ...tenant, count: 1_000 }] }] });
  expect(lines).toContain("busiest minute 2026-03-02 00:00Z: 1,000 runs, 643 times the average");
  expect(lines).toContain("MINUTE              RUNS  SCHEDULES  TENANTS     ENDPOINTS   SUCH AS");
});

test("a load that is even has no advice, and days are set against the tenant's limit", () => {
  const [first] = forecast.peaks;
  if (first === undefined) throw new Error("no peak");
  const even = { ...forecast, runs_per_minute_mean: 900, peaks: [first] };
  expect(describeForecast(even).at(-1)).toMatch(/^2026-03-02 00:00Z/);
  const days = (limit: number, isOver: boolean) => [{ day: "2026-03-02", count: 2_240, used: 60, limit, is_over: isOver }];
  expect(describeForecast({ ...forecast, days: days(5_000, false) })[2]).toBe("every day is within the limit of 5,000 runs a day");
  expect(describeForecast({ ...forecast, days: days(2_250, true) })[2]).toBe(
    "2026-03-02 is over the limit of 2,250 runs a day: 2,240 to come, 60 so far; what is too much will be skipped",
  );
});

test("nothing to come is one line that says why", () => {
  const empty = { ...forecast, occurrences: 0, peaks: [], schedules: 0 };
  expect(describeForecast(empty)).toEqual([
    "nothing is going to run from 2026-03-02 00:00Z to 2026-03-03 00:00Z: there are no live schedules",
  ]);
  expect(describeForecast({ ...empty, schedules: 1 })[0]).toMatch(/: 1 live schedule, without an occurrence in that time$/);
});
