import { describe, expect, test } from "vitest";
import type { Backfill, BackfillPlan } from "./api-answers.ts";
import { describeBackfill, describePlan, describeProgress } from "./describe-backfill.ts";

const hour = (n: number) => `2026-03-0${1 + Math.floor(n / 24)}T${String(n % 24).padStart(2, "0")}:00:00.000Z`;

const plan: BackfillPlan = {
  from: hour(0),
  to: hour(40),
  concurrency: 5,
  occurrences: 40,
  left_out: { succeeded: 3, under_way: 1 },
  planned: 36,
  first: Array.from({ length: 10 }, (_, index) => hour(1 + index)),
  last: Array.from({ length: 10 }, (_, index) => hour(31 + index)),
  estimate: { mean_run_ms: 1_850, runs_per_minute: 150, seconds: 16 },
};

const backfill: Backfill = {
  id: "0e8c9f0e-0000-4000-8000-000000000000",
  tenant: { id: "t", slug: "acme" },
  schedule: { id: "s", name: "hourly report" },
  from: hour(0),
  to: hour(40),
  state: "running",
  concurrency: 5,
  planned: 1_036,
  fed: 25,
  running: 5,
  succeeded: 17,
  failed: 2,
  canceled: 1,
  next_at: hour(26),
  created_by: "key k1",
  created_at: hour(41),
  finished_at: null,
};

describe("a plan in lines", () => {
  test("says how many, what is left out, the first and last instants with what lies between, and how long it takes", () => {
    const lines = describePlan(plan);
    expect(lines.slice(0, 3)).toEqual([
      "36 occurrences to run after 2026-03-01 00:00:00Z up to 2026-03-02 16:00:00Z, 5 at a time",
      "left out of 40: 3 succeeded already, 1 under way",
      "  2026-03-01 01:00:00Z",
    ]);
    expect(lines[12]).toBe("  … 16 more …");
    expect(lines.at(-1)).toBe("takes about 16.0 s, 150 runs a minute (its newest runs took 1.9 s on average)");
  });

  test("of a few lists all of them and leaves out what is nothing", () => {
    const few = { ...plan, concurrency: 1, planned: 1, first: [hour(1)], last: [], left_out: { succeeded: 0, under_way: 0 } };
    const estimate = { mean_run_ms: null, runs_per_minute: 52.2, seconds: 1 };
    expect(describePlan({ ...few, estimate })).toEqual([
      "1 occurrence to run after 2026-03-01 00:00:00Z up to 2026-03-02 16:00:00Z, one after the other",
      "  2026-03-01 01:00:00Z",
      "takes about 1.0 s, 52.2 runs a minute (a guess: no run of it is known)",
    ]);
  });

  test("of nothing says why", () => {
    const stretch = "nothing to run after 2026-03-01 00:00:00Z up to 2026-03-02 16:00:00Z";
    const none = { ...plan, planned: 0, first: [], last: [] };
    expect(describePlan({ ...none, left_out: { succeeded: 40, under_way: 0 } })).toEqual([`${stretch}: 40 succeeded already`]);
    expect(describePlan({ ...none, left_out: { succeeded: 0, under_way: 0 } })).toEqual([`${stretch}: the rule has no occurrence there`]);
  });
});

test("progress is one line that leaves out what is nothing", () => {
  expect(describeProgress(backfill)).toBe("running: 20 of 1,036 done, 2 failed, 1 canceled, 5 running");
  const completed = { ...backfill, state: "completed" as const, planned: 20, failed: 0, canceled: 0, running: 0, succeeded: 20 };
  expect(describeProgress(completed)).toBe("completed: 20 of 20 done");
});

test("a backfill in lines leaves out what it does not have", () => {
  const lines = describeBackfill(backfill);
  expect(lines).toContain("stretch        after 2026-03-01 00:00:00Z up to 2026-03-02 16:00:00Z");
  expect(lines.some((line) => line.startsWith("finished"))).toBe(false);
});
