import type { StoredCalendar } from "@downbeat/store/load-calendars.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import type { GateRow } from "@downbeat/store/read-gates.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { type Overlap, overlaps } from "@downbeat/timing/pass-gate.ts";
import { misfires } from "@downbeat/timing/plan-due.ts";
import { spreadFraction } from "@downbeat/timing/spread.ts";
import { expect, test } from "vitest";
import { type ClaimPlan, needsGate, planClaim } from "./plan-claim.ts";
import { type ClaimState, emptyClaimState } from "./plan-schedule.ts";

const noon = Date.UTC(2026, 5, 1, 12);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const horizonMs = 75_000;

/** Each minute, and due right now, with every policy as the schema has it by default but without a limit of grace, unless told otherwise. */
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
    dstGap: "run_at_gap_end",
    dstOverlap: "first",
    misfire: "latest",
    graceSeconds: null,
    spreadSeconds: null,
    spreadShare: null,
    calendarIds: null,
    overlap: "skip",
    maxInstances: 3,
    maxRuns: null,
    pausedAt: null,
    pausedUntil: null,
    onResume: "skip",
    maintenanceFrom: null,
    maintenanceUntil: null,
    runsPerDayMax: null,
    nowAt: noon,
    ...fields,
  };
}

/** The state with this one gate. */
function gated(fields: Partial<GateRow> = {}): ClaimState {
  const gate = { tenantId: "tenant", scheduleId: "schedule", holders: [], waiting: [], started: 0, outstanding: 0, ...fields };
  return { ...emptyClaimState, gates: new Map([["schedule", gate]]) };
}

const inMinutes = (at: number) => (at - noon) / minuteMs;
/** The minutes after noon whose occurrences become runs. */
const ranOf = ({ runs }: ClaimPlan) => runs.map(({ scheduledFor }) => inMinutes(scheduledFor));
/** `state(reason) from..to count`, in minutes after noon, with whose place it was. */
const stretchesOf = ({ stretches }: ClaimPlan) =>
  stretches.map(({ state, reason, rangeFrom, scheduledFor, rangeCount, blockedBy }) =>
    [
      `${state}(${reason}) ${inMinutes(rangeFrom)}..${inMinutes(scheduledFor)} ${rangeCount}`,
      ...(blockedBy === null ? [] : [blockedBy]),
    ].join(" by "),
  );
const watermarkOf = ({ watermarks }: ClaimPlan) => {
  const next = watermarks[0]?.next;
  return next && { scheduledFor: inMinutes(next.scheduledFor), dueAt: inMinutes(next.dueAt) };
};
const idAt = (minutes: number) => runId("schedule", noon + minutes * minuteMs);

test("occurrences up to the horizon become runs with their deterministic ids and the rule's revision, and the watermark moves behind them", () => {
  const run = (scheduledFor: number) => ({
    tenantId: "tenant",
    runId: runId("schedule", scheduledFor),
    scheduleId: "schedule",
    scheduleRevision: 3,
    scheduledFor,
    dueAt: scheduledFor,
    spreadMs: null,
    retryUntil: scheduledFor + minuteMs,
  });
  const next = noon + 2 * minuteMs;
  expect(planClaim([due()], horizonMs)).toEqual({
    runs: [run(noon), run(noon + minuteMs)],
    stretches: [],
    watermarks: [{ tenantId: "tenant", scheduleId: "schedule", next: { scheduledFor: next, dueAt: next } }],
    resumed: [],
    usedUp: [],
    spent: new Map(),
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
  expect(plan.runs).toMatchObject([{ scheduledFor: noon, retryUntil: null }]);
  expect(plan.watermarks).toMatchObject([{ next: null }]);
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

test("clock changes are treated as the schedule says", () => {
  const gapEnd = Date.UTC(2026, 2, 8, 7);
  const springDay = { cronExpression: "30 2 * * *", timezone: "America/New_York", nextRunAt: gapEnd - 86_400_000 + 30 * minuteMs };
  const nextOf = (dstGap: DueSchedule["dstGap"]) =>
    planClaim([due({ ...springDay, nowAt: springDay.nextRunAt, dstGap })], horizonMs).watermarks[0]?.next?.scheduledFor;
  expect(nextOf("run_at_gap_end")).toBe(gapEnd);
  expect(nextOf("shift")).toBe(gapEnd + 30 * minuteMs);
  expect(nextOf("skip")).toBe(gapEnd + 23.5 * hourMs);
});

test("what a calendar leaves out is no occurrence; a calendar that is not there stops its schedule and nobody else's", () => {
  const lunch: StoredCalendar = {
    id: "lunch",
    name: "lunch",
    kind: "blackout",
    timezone: "UTC",
    entries: ["2026-06-01T12:01:00Z/2026-06-01T12:30:00Z"],
  };
  const state = { ...emptyClaimState, calendars: new Map([["lunch", lunch]]) };
  const plan = planClaim([due({ calendarIds: ["lunch"] })], horizonMs, state);
  expect([ranOf(plan), watermarkOf(plan)]).toEqual([[0], { scheduledFor: 30, dueAt: 30 }]);
  const lost = planClaim([due({ calendarIds: ["dinner"] }), due({ scheduleId: "other" })], horizonMs, state);
  expect([lost.failed.length, ranOf(lost), lost.watermarks.length]).toEqual([1, [0, 1], 1]);
});

// What a downtime left ------------------------------------------------------------------------------------------------------------

test("after a downtime the newest late occurrence runs now, and the older ones are one stretch dated at its last", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const plan = planClaim([due({ nowAt: nowAt + 0.25 })], horizonMs);
  expect(ranOf(plan)).toEqual([10, 11]);
  expect(plan.runs.map(({ dueAt }) => inMinutes(dueAt))).toEqual([10, 11]);
  expect(plan.stretches).toMatchObject([
    {
      scheduledFor: noon + 9 * minuteMs,
      runId: idAt(9),
      state: "missed",
      reason: "coalesced",
      rangeFrom: noon,
      rangeCount: 10,
      blockedBy: null,
    },
  ]);
});

test("a run of a downtime starts now, and is tried again until the schedule's next occurrence to come", () => {
  const nowAt = noon + 2 * hourMs + 10.5 * minuteMs + 0.25;
  const plan = planClaim([due({ cronExpression: "0 * * * *", misfire: "all", overlap: "queue_all", nowAt })], horizonMs);
  expect(
    plan.runs.map(({ scheduledFor, dueAt, retryUntil }) => [scheduledFor, dueAt, retryUntil].map((at) => inMinutes(at ?? Number.NaN))),
  ).toEqual([0, 60, 120].map((at) => [at, 130.5, 180]));
});

/** Ten occurrences are late, of which `grace` leaves four; another run may be under way. */
const downtime = { nowAt: noon + 9 * minuteMs + 45_000, nextRunAt: noon } as const;
const graceOf4 = 4 * 60;

test.for([
  // Nothing is under way: the first one that the misfire policy keeps is to run, and what the overlap policy makes of the others depends on it.
  ["latest", null, "skip", false, [9, 10], ["missed(coalesced) 0..8 9"]],
  ["all", null, "queue_all", false, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], []],
  ["all", null, "skip", false, [0, 10], [`skipped(overlap) 1..9 9 by ${idAt(0)}`]],
  ["all", null, "queue_one", false, [0, 1, 10], [`skipped(overlap) 2..9 8 by ${idAt(0)}`]],
  ["all", null, "allow", false, [0, 1, 2, 10], [`skipped(overlap) 3..9 7 by ${idAt(0)}`]],
  ["skip", null, "skip", false, [9, 10], ["missed(late) 0..8 9"]],
  ["all", graceOf4, "queue_all", false, [6, 7, 8, 9, 10], ["missed(grace) 0..5 6"]],
  ["all", graceOf4, "skip", false, [6, 10], ["missed(grace) 0..5 6", `skipped(overlap) 7..9 3 by ${idAt(6)}`]],
  ["latest", 0, "skip", false, [10], ["missed(grace) 0..9 10"]],
  // Another run is under way.
  ["latest", null, "skip", true, [10], ["missed(coalesced) 0..8 9", "skipped(overlap) 9..9 1 by holder"]],
  ["latest", null, "queue_one", true, [9, 10], ["missed(coalesced) 0..8 9"]],
  ["latest", null, "allow", true, [9, 10], ["missed(coalesced) 0..8 9"]],
  ["latest", null, "cancel_previous", true, [9, 10], ["missed(coalesced) 0..8 9"]],
  ["all", null, "queue_one", true, [0, 10], ["skipped(overlap) 1..9 9 by holder"]],
  ["all", null, "queue_all", true, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], []],
  ["all", null, "allow", true, [0, 1, 10], ["skipped(overlap) 2..9 8 by holder"]],
  ["all", graceOf4, "skip", true, [10], ["missed(grace) 0..5 6", "skipped(overlap) 6..9 4 by holder"]],
  ["skip", graceOf4, "skip", true, [10], ["missed(grace) 0..5 6", "missed(late) 6..8 3", "skipped(overlap) 9..9 1 by holder"]],
] as [DueSchedule["misfire"], number | null, Overlap, boolean, number[], string[]][])(
  "a downtime under misfire `%s`, grace %s and overlap `%s` (another run under way: %s)",
  ([misfire, graceSeconds, overlap, isHeld, ran, stretches]) => {
    const state = isHeld ? gated({ holders: ["holder"] }) : emptyClaimState;
    const plan = planClaim([due({ ...downtime, misfire, graceSeconds, overlap })], horizonMs, state);
    expect([ranOf(plan), stretchesOf(plan)]).toEqual([ran, stretches]);
  },
);

test("of a downtime under `cancel_previous` the newest runs; those it replaces are each skipped for the one after them", () => {
  const plan = planClaim([due({ ...downtime, nowAt: noon + 2.75 * minuteMs, misfire: "all", overlap: "cancel_previous" })], horizonMs);
  expect(ranOf(plan)).toEqual([2, 3]);
  expect(stretchesOf(plan)).toEqual([`skipped(overlap) 0..0 1 by ${idAt(1)}`, `skipped(overlap) 1..1 1 by ${idAt(2)}`]);
});

test.for(overlaps)(
  "under `%s` nothing is decided about what is still to come: only at its instant is it known what is under way",
  (overlap) => {
    const nowAt = noon - 10_000;
    const plan = planClaim([due({ nowAt, overlap })], horizonMs, gated({ holders: ["holder"], waiting: ["waiting"] }));
    expect([ranOf(plan), stretchesOf(plan)]).toEqual([[0, 1], []]);
  },
);

test.for(misfires)("each late occurrence ends in exactly one place, under misfire `%s` and every overlap policy", (misfire) => {
  for (const overlap of overlaps) {
    for (const holders of [[], ["holder"]]) {
      const plan = planClaim([due({ ...downtime, misfire, overlap, graceSeconds: graceOf4 })], horizonMs, gated({ holders }));
      const settled = plan.stretches.flatMap(({ rangeFrom, scheduledFor, rangeCount }) => {
        const [from, to] = [inMinutes(rangeFrom), inMinutes(scheduledFor)];
        expect(rangeCount).toBe(to - from + 1);
        return Array.from({ length: rangeCount }, (_, index) => from + index);
      });
      expect([...settled, ...ranOf(plan)].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
  }
});

test("a long downtime is one step whatever its length: its newest occurrences run, and the stretch before them is counted", () => {
  const yearMs = 365 * 86_400_000;
  const plan = planClaim([due({ nextRunAt: noon - yearMs, misfire: "all", overlap: "queue_all" })], horizonMs);
  expect(plan.runs).toHaveLength(1_002);
  expect(plan.stretches).toMatchObject([{ state: "missed", reason: "catchup_limit", rangeCount: 365 * 1_440 - 1_000 }]);
  expect(watermarkOf(plan)).toEqual({ scheduledFor: 2, dueAt: 2 });
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

test("the catching-up of many schedules is planned in several claims, none of which holds its locks for long; nothing is skipped", () => {
  const daysAgo = noon - 20 * 86_400_000;
  const schedules = Array.from({ length: 15 }, (_, index) =>
    due({ scheduleId: `schedule-${index}`, nextRunAt: daysAgo, misfire: "all", overlap: "queue_all" }),
  );
  const first = planClaim(schedules, horizonMs);
  expect(first.isCut).toBe(true);
  const rest = planClaim(schedules.slice(first.watermarks.length), horizonMs);
  expect(rest.isCut).toBe(false);
  for (const { runs, stretches, watermarks } of [first, rest]) {
    const evaluated = runs.length + stretches.reduce((sum, { rangeCount }) => sum + rangeCount, 0);
    expect(evaluated).toBe(watermarks.length * (20 * 1_440 + 2));
  }
  expect([...first.watermarks, ...rest.watermarks].map(({ scheduleId }) => scheduleId)).toEqual(
    schedules.map(({ scheduleId }) => scheduleId),
  );
});

// Spread --------------------------------------------------------------------------------------------------------------------------

/** Where in its window the schedule starts. */
const fraction = spreadFraction("schedule");

test("a spread schedule's run keeps its occurrence, starts later, and its watermark is looked at when the next one starts", () => {
  const spreadMs = Math.floor(fraction * 30 * minuteMs);
  const nowAt = noon + spreadMs - 20_000;
  const plan = planClaim([due({ cronExpression: "0 * * * *", spreadSeconds: 1_800, nowAt })], horizonMs);
  expect(plan.runs).toMatchObject([
    { scheduledFor: noon, runId: idAt(0), dueAt: noon + spreadMs, spreadMs, retryUntil: noon + hourMs + spreadMs },
  ]);
  expect(plan.watermarks).toMatchObject([{ next: { scheduledFor: noon + hourMs, dueAt: noon + hourMs + spreadMs } }]);
});

test("a schedule spread over a share of its interval starts within that share", () => {
  const spreadMs = Math.floor(fraction * 0.25 * hourMs);
  const plan = planClaim([due({ cronExpression: "0 * * * *", spreadShare: 0.25, nowAt: noon + spreadMs })], horizonMs);
  expect(plan.runs).toMatchObject([{ scheduledFor: noon, dueAt: noon + spreadMs, spreadMs }]);
});

test("a spread occurrence that does not start within the horizon stays where it is", () => {
  const spreadMs = Math.floor(fraction * 30 * minuteMs);
  const plan = planClaim([due({ cronExpression: "0 * * * *", spreadSeconds: 1_800, nowAt: noon + spreadMs - horizonMs })], horizonMs);
  expect(plan.runs).toEqual([]);
  expect(plan.watermarks).toMatchObject([{ next: { scheduledFor: noon, dueAt: noon + spreadMs } }]);
});

test("a slightly late spread occurrence says how it was spread; one that is made up for starts now, which is no spread", () => {
  const spreadMs = Math.floor(fraction * 30 * minuteMs);
  const slightly = planClaim([due({ cronExpression: "0 * * * *", spreadSeconds: 1_800, nowAt: noon + spreadMs + 10_000 })], horizonMs);
  expect(slightly.runs).toMatchObject([{ scheduledFor: noon, dueAt: noon + spreadMs, spreadMs }]);
  const nowAt = noon + spreadMs + 10 * minuteMs;
  const late = planClaim([due({ cronExpression: "0 * * * *", spreadSeconds: 1_800, nowAt })], horizonMs);
  expect(late.runs).toMatchObject([{ scheduledFor: noon, dueAt: nowAt, spreadMs: null }]);
});

// Pauses ---------------------------------------------------------------------------------------------------------------------------

/** Paused from five minutes before noon until 12:10; the first occurrence in it is at noon. */
const paused = { pausedAt: noon - 5 * minuteMs, pausedUntil: noon + 10 * minuteMs } as const;

test.for([
  ["skip", [10, 11], ["skipped(paused) 0..9 10"]],
  ["latest", [9, 10, 11], ["skipped(paused) 0..8 9"]],
  ["all", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], []],
] as const)(
  "a pause that ended by itself, `on_resume` %s: what fell into it is settled, what comes after runs at its time",
  ([onResume, ran, stretches]) => {
    const nowAt = noon + 10 * minuteMs + 2_000;
    const plan = planClaim([due({ ...paused, onResume, overlap: "queue_all", nowAt })], horizonMs);
    expect([ranOf(plan), stretchesOf(plan)]).toEqual([ran, stretches]);
    expect(plan.runs.filter(({ scheduledFor }) => scheduledFor < paused.pausedUntil).every(({ dueAt }) => dueAt === nowAt)).toBe(true);
    expect(plan.runs.filter(({ scheduledFor }) => scheduledFor >= paused.pausedUntil).every((run) => run.dueAt === run.scheduledFor)).toBe(
      true,
    );
    expect(plan.resumed).toEqual([{ tenantId: "tenant", scheduleId: "schedule" }]);
  },
);

test("a pause is evaluated a little before it ends, and nothing that it kept back starts before then", () => {
  const nowAt = paused.pausedUntil - 30_000;
  const plan = planClaim([due({ ...paused, onResume: "latest", overlap: "queue_all", nowAt })], horizonMs);
  expect(plan.runs.map(({ scheduledFor, dueAt }) => [inMinutes(scheduledFor), inMinutes(dueAt)])).toEqual([
    [9, 10],
    [10, 10],
  ]);
});

test("a pause in which nothing fell is over all the same", () => {
  const plan = planClaim([due({ ...paused, nextRunAt: noon + 11 * minuteMs, nowAt: paused.pausedUntil })], horizonMs);
  expect([ranOf(plan), stretchesOf(plan), plan.resumed.length]).toEqual([[11], [], 1]);
});

test("occurrences that a dispatcher missed after the pause are a downtime's, not the pause's", () => {
  const nowAt = noon + 20.5 * minuteMs;
  const plan = planClaim([due({ ...paused, nowAt })], horizonMs);
  expect([ranOf(plan), stretchesOf(plan)]).toEqual([
    [20, 21],
    ["skipped(paused) 0..9 10", "missed(coalesced) 10..19 10"],
  ]);
});

test("a pause that nobody has set an end is not ended by a claim", () => {
  expect(planClaim([due({ pausedAt: noon - hourMs })], horizonMs).resumed).toEqual([]);
});

// Maintenance ----------------------------------------------------------------------------------------------------------------------

test("under maintenance nothing is claimed or skipped yet: the schedule is put off, until it is known when the maintenance ends", () => {
  const nowAt = noon + 3.5 * minuteMs;
  const plan = planClaim([due({ maintenanceFrom: noon - minuteMs, nowAt })], horizonMs);
  expect([ranOf(plan), stretchesOf(plan)]).toEqual([[], []]);
  expect(plan.watermarks).toMatchObject([{ next: { scheduledFor: noon, dueAt: nowAt + horizonMs + 60_000 } }]);
});

test("a schedule put off under maintenance is looked at when the maintenance ends, where that is known and near", () => {
  const maintenance = { maintenanceFrom: noon - minuteMs, maintenanceUntil: noon + 5 * minuteMs };
  const nowAt = maintenance.maintenanceUntil - horizonMs - 2_000;
  expect(planClaim([due({ ...maintenance, nowAt })], horizonMs).watermarks).toMatchObject([
    { next: { scheduledFor: noon, dueAt: maintenance.maintenanceUntil } },
  ]);
});

test("what fell into a maintenance that is over is one skipped stretch; what comes after it runs", () => {
  const nowAt = noon + 10 * minuteMs + 10_000;
  const plan = planClaim([due({ maintenanceFrom: noon, maintenanceUntil: noon + 10 * minuteMs, nowAt })], horizonMs);
  expect([ranOf(plan), stretchesOf(plan)]).toEqual([[10, 11], ["skipped(maintenance) 0..9 10"]]);
});

test("what was due before a maintenance runs although it began, what is due in it does not", () => {
  const nowAt = noon + 0.5 * minuteMs;
  const plan = planClaim([due({ maintenanceFrom: noon + minuteMs, nowAt })], horizonMs);
  expect(ranOf(plan)).toEqual([0]);
  expect(watermarkOf(plan)?.scheduledFor).toBe(1);
});

test("a maintenance in the future changes nothing before it begins, and one long over nothing any more", () => {
  for (const maintenance of [
    { maintenanceFrom: noon + hourMs, maintenanceUntil: noon + 2 * hourMs },
    { maintenanceFrom: noon + hourMs, maintenanceUntil: null },
    { maintenanceFrom: noon - 2 * hourMs, maintenanceUntil: noon - hourMs },
  ]) {
    const plan = planClaim([due(maintenance)], horizonMs);
    expect([ranOf(plan), stretchesOf(plan), watermarkOf(plan)]).toEqual([[0, 1], [], { scheduledFor: 2, dueAt: 2 }]);
  }
});

test("late occurrences before, in and after a maintenance are a downtime's, the maintenance's and a downtime's", () => {
  const nowAt = noon + 20.5 * minuteMs;
  const plan = planClaim(
    [due({ maintenanceFrom: noon + 5 * minuteMs, maintenanceUntil: noon + 10 * minuteMs, overlap: "queue_all", nowAt })],
    horizonMs,
  );
  expect(ranOf(plan)).toEqual([4, 20, 21]);
  expect(stretchesOf(plan)).toEqual(["missed(coalesced) 0..3 4", "skipped(maintenance) 5..9 5", "missed(coalesced) 10..19 10"]);
});

test("a claim that is cut before a maintenance leaves what follows for the next claim, and calls nothing of it maintenance", () => {
  // The first schedule takes up all but a little of what one claim evaluates.
  const hours = 14;
  const greedy = due({ scheduleId: "greedy", cronExpression: "* * * * * *", nextRunAt: noon + 1_000 });
  const horizon = hours * hourMs;
  const other = due({
    cronExpression: "* * * * * *",
    nextRunAt: noon + 1_000,
    maintenanceFrom: noon + hourMs,
    maintenanceUntil: noon + 2 * hourMs,
  });
  const schedules = [
    ...Array.from({ length: 4 }, (_, index) => ({ ...greedy, scheduleId: `greedy-${index}` })),
    { ...greedy, endsAt: noon + 9_990_000 },
    other,
  ];
  const plan = planClaim(schedules, horizon);
  const ofOther = plan.runs.filter(({ scheduleId }) => scheduleId === "schedule");
  expect(ofOther).toHaveLength(10);
  expect(plan.stretches).toEqual([]);
  expect(plan.watermarks.at(-1)?.next).toEqual({ scheduledFor: noon + 11_000, dueAt: noon + 11_000 });
});

test("skips on both sides of a maintenance are two stretches, not one around it", () => {
  const nowAt = noon + 10.5 * minuteMs;
  const late = { misfire: "all" as const, maintenanceFrom: noon + 5 * minuteMs, maintenanceUntil: noon + 8 * minuteMs, nowAt };
  const plan = planClaim([due(late)], horizonMs, gated({ holders: ["holder"] }));
  expect(new Set(stretchesOf(plan))).toEqual(
    new Set(["skipped(overlap) 0..4 5 by holder", "skipped(maintenance) 5..7 3", "skipped(overlap) 8..10 3 by holder"]),
  );
});

// Limits ---------------------------------------------------------------------------------------------------------------------------

test("as many runs are claimed as `max_runs` leaves; then the schedule is put off until it is known how they went", () => {
  const plan = planClaim([due({ maxRuns: 5 })], horizonMs, gated({ started: 2, outstanding: 2 }));
  expect(ranOf(plan)).toEqual([0]);
  expect(plan.watermarks).toMatchObject([{ next: { scheduledFor: noon + minuteMs, dueAt: noon + horizonMs + 5_000 } }]);
  expect(plan.usedUp).toEqual([]);
});

test("while claimed runs might still be skipped, a schedule that has as many as it may have waits, and claims another when one was", () => {
  const waiting = planClaim([due({ maxRuns: 5 })], horizonMs, gated({ started: 3, outstanding: 2 }));
  expect([ranOf(waiting), stretchesOf(waiting), watermarkOf(waiting)?.scheduledFor]).toEqual([[], [], 0]);
  const again = planClaim([due({ maxRuns: 5 })], horizonMs, gated({ started: 3, outstanding: 1 }));
  expect(ranOf(again)).toEqual([0]);
});

test("when the last runs it may have are on their way, it is looked at long before its next occurrence, and completed as soon as they have started", () => {
  const daily = due({ cronExpression: "0 12 * * *", maxRuns: 5 });
  const last = planClaim([daily], horizonMs, gated({ started: 4 }));
  expect(ranOf(last)).toEqual([0]);
  expect(watermarkOf(last)).toEqual({ scheduledFor: 1_440, dueAt: inMinutes(noon + horizonMs + 5_000) });
  const next = { ...daily, nextRunAt: noon + 86_400_000, nowAt: noon + 5_000 };
  const waiting = planClaim([next], horizonMs, gated({ started: 4, outstanding: 1 }));
  expect([ranOf(waiting), watermarkOf(waiting)]).toEqual([[], { scheduledFor: 1_440, dueAt: inMinutes(noon + 5_000 + horizonMs + 5_000) }]);
  const skipped = planClaim([next], horizonMs, gated({ started: 4, outstanding: 0 }));
  expect(watermarkOf(skipped)).toEqual({ scheduledFor: 1_440, dueAt: 1_440 });
  const started = planClaim([next], horizonMs, gated({ started: 5 }));
  expect([watermarkOf(started), started.usedUp]).toEqual([null, [{ tenantId: "tenant", scheduleId: "schedule" }]]);
});

test("a schedule that has started all its runs is used up: its further instants are no occurrences, so nothing is missed or skipped", () => {
  const plan = planClaim([due({ maxRuns: 5, nowAt: noon + 10.5 * minuteMs })], horizonMs, gated({ started: 5 }));
  expect([ranOf(plan), stretchesOf(plan), watermarkOf(plan)]).toEqual([[], [], null]);
  expect(plan.usedUp).toEqual([{ tenantId: "tenant", scheduleId: "schedule" }]);
});

test("skips do not count against `max_runs`: what a downtime missed leaves the limit as it was", () => {
  const plan = planClaim([due({ maxRuns: 2, nowAt: noon + 10.5 * minuteMs })], horizonMs, gated());
  expect([ranOf(plan), stretchesOf(plan)]).toEqual([[10, 11], ["missed(coalesced) 0..9 10"]]);
});

test("of a downtime that would run more than `max_runs` leaves, the rest is decided about by a later claim", () => {
  const plan = planClaim([due({ ...downtime, misfire: "all", overlap: "queue_all", maxRuns: 3 })], horizonMs, gated());
  expect([ranOf(plan), stretchesOf(plan), watermarkOf(plan)?.scheduledFor]).toEqual([[0, 1, 2], [], 3]);
});

test("a tenant's runs of the day are shared by its schedules; what is over is skipped, and another tenant's schedules are not touched", () => {
  const limited = { runsPerDayMax: 100 };
  const schedules = [due(limited), due({ ...limited, scheduleId: "second" }), due({ tenantId: "other", scheduleId: "third" })];
  const plan = planClaim(schedules, horizonMs, { ...emptyClaimState, budgets: new Map([["tenant", 3]]) });
  expect(plan.runs.map(({ scheduleId, scheduledFor }) => `${scheduleId} ${inMinutes(scheduledFor)}`)).toEqual([
    "schedule 0",
    "schedule 1",
    "second 0",
    "third 0",
    "third 1",
  ]);
  expect(plan.stretches).toMatchObject([
    { scheduleId: "second", state: "skipped", reason: "budget", rangeFrom: noon + minuteMs, rangeCount: 1 },
  ]);
  expect(plan.spent).toEqual(new Map([["tenant", 3]]));
});

test("with nothing left of the day everything is skipped, as one stretch, and the watermark moves on", () => {
  const plan = planClaim([due({ runsPerDayMax: 0 })], horizonMs, { ...emptyClaimState, budgets: new Map([["tenant", 0]]) });
  expect([ranOf(plan), stretchesOf(plan), watermarkOf(plan)]).toEqual([[], ["skipped(budget) 0..1 2"], { scheduledFor: 2, dueAt: 2 }]);
});

test("what does not run for another reason is not taken from the day's budget", () => {
  const state = { ...gated({ holders: ["holder"] }), budgets: new Map([["tenant", 1]]) };
  const plan = planClaim([due({ runsPerDayMax: 100, nowAt: noon + 10_000 })], horizonMs, state);
  expect([ranOf(plan), stretchesOf(plan)]).toEqual([[1], ["skipped(overlap) 0..0 1 by holder"]]);
  expect(plan.spent).toEqual(new Map([["tenant", 1]]));
});

test("gates are asked for only where they can matter: something is due already, or runs are counted", () => {
  expect(needsGate(due({ nowAt: noon }))).toBe(true);
  expect(needsGate(due({ nowAt: noon - 1 }))).toBe(false);
  expect(needsGate(due({ nowAt: noon - 1, maxRuns: 5 }))).toBe(true);
});
