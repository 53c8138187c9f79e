import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { expect, test } from "vitest";
import { planClaim } from "./plan-claim.ts";

const noon = Date.UTC(2026, 5, 1, 12);
const minuteMs = 60_000;
const horizonMs = 75_000;

/** Each minute, and due right now, unless told otherwise. */
function due(fields: Partial<DueSchedule> = {}): DueSchedule {
  return {
    tenantId: "tenant",
    scheduleId: "schedule",
    nextRunAt: noon,
    revision: 3,
    kind: "cron",
    cronExpression: "* * * * *",
    timezone: "UTC",
    intervalSeconds: null,
    anchorAt: null,
    runAt: null,
    startsAt: null,
    endsAt: null,
    nowAt: noon,
    ...fields,
  };
}

test("occurrences up to the horizon become runs with their deterministic ids and the rule's revision, and the watermark moves behind them", () => {
  const run = (scheduledFor: number) => ({
    tenantId: "tenant",
    runId: runId("schedule", scheduledFor),
    scheduleId: "schedule",
    scheduleRevision: 3,
    scheduledFor,
  });
  expect(planClaim([due()], horizonMs)).toEqual({
    runs: [run(noon), run(noon + minuteMs)],
    missed: [],
    watermarks: [{ tenantId: "tenant", scheduleId: "schedule", nextRunAt: noon + 2 * minuteMs }],
    broken: [],
    failed: [],
    isCut: false,
  });
});

test("planning the same again gives the same: a claim that is repeated finds its own rows", () => {
  expect(planClaim([due(), due({ scheduleId: "other" })], horizonMs)).toEqual(planClaim([due(), due({ scheduleId: "other" })], horizonMs));
});

test("a rule without a further occurrence has the watermark null, so that it leaves the due index", () => {
  const plan = planClaim([due({ kind: "once", cronExpression: null, runAt: noon })], horizonMs);
  expect(plan.runs.map(({ scheduledFor }) => scheduledFor)).toEqual([noon]);
  expect(plan.watermarks).toMatchObject([{ nextRunAt: null }]);
});

test("each kind of rule is evaluated by its own fields and within its bounds", () => {
  const kinds: Partial<DueSchedule>[] = [
    { kind: "interval", intervalSeconds: 30, anchorAt: noon - 30_000 },
    { kind: "interval", intervalSeconds: 30, anchorAt: noon - 30_000, endsAt: noon + 30_000 },
    { kind: "cron", cronExpression: "0 14 * * *", timezone: "Europe/Berlin" },
    { kind: "once", runAt: noon },
  ];
  const starts = kinds.map((kind) =>
    planClaim([due({ cronExpression: null, ...kind })], horizonMs).runs.map(({ scheduledFor }) => scheduledFor - noon),
  );
  expect(starts).toEqual([[0, 30_000, 60_000], [0, 30_000], [0], [0]]);
});

test("after a downtime the newest late occurrence runs, and the older ones are one stretch dated at its last", () => {
  const plan = planClaim([due({ nowAt: noon + 10.5 * minuteMs })], horizonMs);
  expect(plan.runs.map(({ scheduledFor }) => (scheduledFor - noon) / minuteMs)).toEqual([10, 11]);
  expect(plan.missed).toMatchObject([
    { scheduledFor: noon + 9 * minuteMs, runId: runId("schedule", noon + 9 * minuteMs), rangeFrom: noon, rangeCount: 10 },
  ]);
});

test("a long downtime is planned in bounded steps, whose watermark shows how far it came", () => {
  const yearMs = 365 * 86_400_000;
  const plan = planClaim([due({ nextRunAt: noon - yearMs })], horizonMs);
  expect(plan.runs).toEqual([]);
  expect(plan.missed).toMatchObject([{ rangeCount: 10_000 }]);
  expect(plan.watermarks).toMatchObject([{ nextRunAt: noon - yearMs + 10_000 * minuteMs }]);
});

test.for([
  ["cron that cannot be read", { cronExpression: "61 * * * *" }, /^cron_expression /],
  ["unknown zone", { timezone: "Mars/Olympus" }, /^timezone /],
] as [string, Partial<DueSchedule>, RegExp][])(
  "a rule that cannot be evaluated any more still runs the occurrence that was known to be due, and stops nobody else: %s",
  ([, fields, problem]) => {
    const plan = planClaim([due({ scheduleId: "broken", ...fields }), due()], horizonMs);
    expect(plan.broken).toMatchObject([{ schedule: { scheduleId: "broken" }, problem: expect.stringMatching(problem) }]);
    expect(plan.watermarks.map(({ scheduleId }) => scheduleId)).toEqual(["schedule"]);
    expect(plan.runs.map(({ scheduleId }) => scheduleId)).toEqual(["broken", "schedule", "schedule"]);
  },
);

test.for([
  ["cron without an expression", { cronExpression: null }],
  ["interval without its length", { kind: "interval", anchorAt: noon }],
  ["interval without its anchor", { kind: "interval", intervalSeconds: 60 }],
  ["once without its instant", { kind: "once" }],
] as [string, Partial<DueSchedule>][])(
  "a schedule that cannot be planned for a reason of ours keeps its watermark, so nothing of it is lost, and stops nobody else: %s",
  ([, fields]) => {
    const plan = planClaim([due({ scheduleId: "ours", ...fields }), due()], horizonMs);
    expect(plan.failed.map(({ schedule, error }) => [schedule.scheduleId, error instanceof Error])).toEqual([["ours", true]]);
    expect(plan.watermarks.map(({ scheduleId }) => scheduleId)).toEqual(["schedule"]);
    expect(plan.runs.map(({ scheduleId }) => scheduleId)).toEqual(["schedule", "schedule"]);
  },
);

test("a long downtime of many schedules is planned in several claims, none of which holds its locks for long; nothing is skipped", () => {
  const daysAgo = noon - 20 * 86_400_000;
  const schedules = Array.from({ length: 8 }, (_, index) => due({ scheduleId: `schedule-${index}`, nextRunAt: daysAgo }));
  const plan = planClaim(schedules, horizonMs);
  expect(plan.isCut).toBe(true);
  const evaluated = plan.runs.length + plan.missed.reduce((sum, stretch) => sum + stretch.rangeCount, 0);
  expect(evaluated).toBe(50_000);
  expect(plan.watermarks.map(({ scheduleId }) => scheduleId)).toEqual(schedules.slice(0, 5).map(({ scheduleId }) => scheduleId));
});
