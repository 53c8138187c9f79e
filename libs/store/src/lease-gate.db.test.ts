import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { type LeaseAnswer, type LeasedRun, leaseRuns } from "./lease-runs.ts";
import { returnLeases } from "./return-leases.ts";
import type { RunKey } from "./run-key.ts";
import { finalRunStates, liveRunStates, type RunState } from "./run-states.ts";
import {
  arrangeGate,
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  readGate,
  readJournal,
  readRun,
  type RunFields,
} from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let executor: Sql;
let schedule: ArrangedSchedule;

beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  executor = database.connectAs("downbeat_executor");
});
afterAll(() => database.drop());
beforeEach(async () => {
  schedule = await arrangeSchedule(admin);
});

async function lease(keys: readonly RunKey[], sql = executor): Promise<LeaseAnswer[]> {
  return (await leaseRuns(sql, { keys, executor: "executor-1", leaseMs: 45_000, holdMsMax: 30_000 })).answers;
}

async function leased(run: RunKey): Promise<LeasedRun> {
  const [answer] = await lease([run]);
  if (answer?.verdict !== "leased") throw new Error(`the run was not leased but ${answer?.verdict}`);
  return answer.run;
}

const verdictsOf = (answers: readonly LeaseAnswer[]) => answers.map(({ verdict }) => verdict);
const idsOf = (...runs: readonly RunKey[]) => runs.map(({ runId }) => runId);

test("the first run of a schedule takes its gate and is counted", async () => {
  const run = await arrangeRun(admin, schedule);
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 1 });
});

test.for(liveRunStates)(
  "while a run of the schedule is under way (%s) another is held: it is told when it is due, and left as it is",
  async (state) => {
    const holder = await arrangeRun(admin, schedule, { state, attempt: 1 });
    await arrangeGate(admin, schedule, { holders: [holder], started: 1 });
    const run = await arrangeRun(admin, schedule, { scheduledInMs: 20_000 });
    const before = await readRun(admin, run);
    const [answer] = await lease([run]);
    expect(answer).toMatchObject({ verdict: "held", key: run, dueAt: expect.any(Number) });
    const after = await readRun(admin, run);
    expect({ ...after, dueInMs: 0 }).toEqual({ ...before, dueInMs: 0 });
    expect(await readGate(admin, schedule)).toEqual({ holders: [holder.runId], waiting: [], started: 1 });
  },
);

test.for([...finalRunStates])("a run that has ended (%s) frees the gate by its state alone", async (state) => {
  const holder = await arrangeRun(admin, schedule, { state, attempt: 1 });
  await arrangeGate(admin, schedule, { holders: [holder], started: 7 });
  const run = await arrangeRun(admin, schedule);
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 8 });
});

test("runs of different schedules do not ask each other", async () => {
  const runs = [await arrangeRun(admin, schedule), await arrangeRun(admin, await arrangeSchedule(admin, schedule))];
  expect(verdictsOf(await lease(runs))).toEqual(["leased", "leased"]);
});

test("of several runs of one schedule in one batch the oldest is leased, whatever their order, and the others are held", async () => {
  const [newest, middle, oldest] = [
    await arrangeRun(admin, schedule),
    await arrangeRun(admin, schedule),
    await arrangeRun(admin, schedule),
  ];
  const answers = new Map(
    (await lease([newest, oldest, middle])).map((answer) => ["run" in answer ? answer.run.runId : answer.key.runId, answer.verdict]),
  );
  expect(answers).toEqual(
    new Map([
      [oldest.runId, "leased"],
      [middle.runId, "held"],
      [newest.runId, "held"],
    ]),
  );
});

test("a retry of the run that holds the gate passes it, and is not counted again", async () => {
  const run = await leased(await arrangeRun(admin, schedule));
  await admin`update downbeat.runs set state = 'retrying', lease_token = null where id = ${run.runId}`;
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
  expect(await readRun(admin, run)).toMatchObject({ state: "running", attempt: 2 });
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 1 });
});

test("between its attempts a run goes on holding the gate", async () => {
  const run = await leased(await arrangeRun(admin, schedule));
  await admin`update downbeat.runs set state = 'retrying', lease_token = null, due_at = now() + interval '1 minute' where id = ${run.runId}`;
  expect(verdictsOf(await lease([await arrangeRun(admin, schedule)]))).toEqual(["held"]);
});

test("a lease that was handed back passes the gate again and is not counted twice; meanwhile it keeps its place", async () => {
  const run = await leased(await arrangeRun(admin, schedule));
  await returnLeases(executor, [run], 600_000);
  expect(verdictsOf(await lease([await arrangeRun(admin, schedule)]))).toEqual(["held"]);
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
  expect(await readRun(admin, run)).toMatchObject({ state: "running", attempt: 1 });
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 1 });
});

test("a run that is sent again after it had ended is not one more occurrence", async () => {
  const again = await arrangeRun(admin, schedule, { state: "queued", attempt: 3 });
  expect(verdictsOf(await lease([again]))).toEqual(["leased"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [again.runId], waiting: [], started: 0 });
});

test("a run that somebody asked for takes the gate like any other, and is not counted", async () => {
  const manual = await arrangeRun(admin, schedule, { triggerId: "request-1" });
  expect(verdictsOf(await lease([manual]))).toEqual(["leased"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [manual.runId], waiting: [], started: 0 });
  expect(verdictsOf(await lease([await arrangeRun(admin, schedule)]))).toEqual(["held"]);
});

test("a backfill's runs neither hold the gate nor are held at it", async () => {
  const backfill = await arrangeRun(admin, schedule, { triggerId: `backfill ${randomUUID()}` });
  expect(verdictsOf(await lease([backfill]))).toEqual(["leased"]);
  expect(await readGate(admin, schedule)).toBeUndefined();
  const run = await leased(await arrangeRun(admin, schedule));
  const others = [1, 2].map(() => arrangeRun(admin, schedule, { triggerId: `backfill ${randomUUID()}` }));
  expect(verdictsOf(await lease(await Promise.all(others)))).toEqual(["leased", "leased"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 1 });
});

test("a one-off has no gate: there is no other run beside which it could be", async () => {
  const once = await arrangeSchedule(admin, schedule, { rule: { kind: "once", runAt: Date.now() } });
  expect(verdictsOf(await lease([await arrangeRun(admin, once)]))).toEqual(["leased"]);
  expect(await readGate(admin, once)).toBeUndefined();
});

test("where others wait for their turn a run does not overtake them, though the gate is free", async () => {
  const waiting = await arrangeRun(admin, schedule, { state: "pending", reason: "overlap" });
  await arrangeGate(admin, schedule, { waiting: [waiting] });
  expect(verdictsOf(await lease([await arrangeRun(admin, schedule)]))).toEqual(["held"]);
});

test("a limit of runs is asked about under the gate's lock: every run of such a schedule is held until it is let in", async () => {
  const limited = await arrangeSchedule(admin, schedule, { max_runs: 5 });
  const run = await arrangeRun(admin, limited);
  expect(verdictsOf(await lease([run]))).toEqual(["held"]);
  await arrangeGate(admin, limited, { holders: [run], started: 5 });
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
  expect(await readGate(admin, limited)).toEqual({ holders: [run.runId], waiting: [], started: 5 });
});

// What must not start any more ------------------------------------------------------------------------------------------------------

test("an occurrence that waited longer than the schedule's grace is missed, with a line in the journal, and takes no gate", async () => {
  const strict = await arrangeSchedule(admin, schedule, { grace_seconds: 60 });
  const [inTime, late] = [
    await arrangeRun(admin, strict, { scheduledInMs: -50_000 }),
    await arrangeRun(admin, strict, { scheduledInMs: -61_000 }),
  ];
  const answers = await lease([late]);
  expect(answers).toEqual([{ verdict: "missed", key: late }]);
  const row = await readRun(admin, late);
  expect(row).toMatchObject({ state: "missed", reason: "grace", attempt: 0, sweepInMs: null });
  expect(row.finishedInMs).not.toBeNull();
  expect(await readJournal(admin, late)).toEqual(["executor-1 missed grace"]);
  expect(await readGate(admin, strict)).toBeUndefined();
  expect(verdictsOf(await lease([inTime]))).toEqual(["leased"]);
});

test.for([
  ["is being retried", { state: "retrying", attempt: 1 }, 60],
  ["was asked for by a person", { triggerId: "request-1" }, 60],
  ["is of a backfill", { triggerId: "backfill 7" }, 60],
  ["is made up for now, whenever it should have been", { dueInMs: -1_000 }, 60],
  ["is of a schedule without a limit of grace", {}, null],
] as [string, RunFields, number | null][])("grace does not end a run that %s", async ([, fields, grace]) => {
  const strict = await arrangeSchedule(admin, schedule, { grace_seconds: grace });
  const run = await arrangeRun(admin, strict, { scheduledInMs: -3_600_000, ...fields });
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
});

async function maintain(fromInMs: number, untilInMs: number | null): Promise<void> {
  await admin`
    update downbeat.tenants set maintenance_from = now() + ${fromInMs}::float8 * interval '1 millisecond',
      maintenance_until = now() + ${untilInMs}::float8 * interval '1 millisecond'
    where id = ${schedule.tenantId}`;
}

test.for([
  ["nobody knows the end of", -60_000, null, -1_000],
  ["is not over", -60_000, 60_000, -1_000],
  ["is over by now", -60_000, -500, -1_000],
  ["begins before the run's instant", 5_000, null, 10_000],
] as [string, number, number | null, number][])(
  "an occurrence that comes due under a maintenance that %s is skipped, with a line in the journal",
  async ([, fromMs, untilMs, dueInMs]) => {
    await maintain(fromMs, untilMs);
    const run = await arrangeRun(admin, schedule, { scheduledInMs: dueInMs });
    expect(await lease([run])).toEqual([{ verdict: "skipped", key: run }]);
    expect(await readRun(admin, run)).toMatchObject({ state: "skipped", reason: "maintenance", attempt: 0, sweepInMs: null });
    expect(await readJournal(admin, run)).toEqual(["executor-1 skipped maintenance"]);
  },
);

test.for([
  ["came due before it", { scheduledInMs: -61_000 }],
  ["comes due after it", { scheduledInMs: 11_000 }],
  ["is being retried", { state: "retrying", attempt: 1 }],
  ["was asked for by a person", { triggerId: "request-1" }],
  ["is of a backfill", { triggerId: "backfill 7" }],
] as [string, RunFields][])("a maintenance does not skip a run that %s", async ([, fields]) => {
  await maintain(-60_000, 10_000);
  const run = await arrangeRun(admin, schedule, { scheduledInMs: -1_000, ...fields });
  expect(verdictsOf(await lease([run]))).toEqual(["leased"]);
});

test("what ends at the lease leaves the gate to the next run of the batch", async () => {
  const strict = await arrangeSchedule(admin, schedule, { grace_seconds: 60 });
  const late = await arrangeRun(admin, strict, { scheduledInMs: -70_000 });
  const run = await arrangeRun(admin, strict, { scheduledInMs: -1_000 });
  expect(new Set(verdictsOf(await lease([late, run])))).toEqual(new Set(["missed", "leased"]));
  expect(await readGate(admin, strict)).toMatchObject({ holders: idsOf(run) });
});

// At once ---------------------------------------------------------------------------------------------------------------------------

test("executors that lease runs of one schedule at once: one of them gets in, in each of many rounds", async () => {
  const others = [executor, database.connectAs("downbeat_executor"), database.connectAs("downbeat_executor")];
  for (let round = 0; round < 60; round += 1) {
    // Odd rounds begin without a gate, so that two executors make it at once; the others with one whose holder has just ended.
    if (round % 2 === 1) schedule = await arrangeSchedule(admin, schedule);
    const runs = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
    const answers = (await Promise.all(runs.map((run, index) => lease([run], others[index])))).flat();
    expect(verdictsOf(answers).sort()).toEqual(["held", "held", "leased"]);
    const [row] =
      await admin`select count(*)::int as running from downbeat.runs where schedule_id = ${schedule.scheduleId} and state = 'running'`;
    expect(row).toEqual({ running: 1 });
    await admin`update downbeat.runs set state = 'succeeded' where schedule_id = ${schedule.scheduleId}`;
  }
});

test.for([
  ["of now", -1_000],
  ["of days ago, made up for now", -3 * 86_400_000],
] as const)(
  "a run %s that took the gate while this executor waited for a lock is under way, though the waiting statement cannot see it",
  async ([, scheduledInMs]) => {
    await admin`select downbeat.ensure_run_partitions(now() - interval '4 days', now())`;
    const waiting = await arrangeRun(admin, schedule);
    let answers: Promise<LeaseAnswer[]> | undefined;
    await admin.begin(async (other) => {
      await other`select from downbeat.runs where id = ${waiting.runId} for update`;
      answers = lease([waiting], database.connectAs("downbeat_executor", 1));
      await until("the lease to wait", async () => {
        const rows = await admin`
          select from pg_stat_activity where datname = current_database() and application_name = 'test-downbeat_executor' and wait_event_type = 'Lock'`;
        return rows.length === 1;
      });
      // Made and leased after the waiting statement took its snapshot.
      await leased(await arrangeRun(admin, schedule, { scheduledInMs, dueInMs: -1_000 }));
    });
    expect(verdictsOf((await answers) ?? [])).toEqual(["held"]);
  },
);

test("a holder of a partition that was dropped long ago does not decide here: the run is held, for the answer under the gate's lock", async () => {
  await arrangeGate(admin, schedule, { holders: [{ tenantId: schedule.tenantId, runId: randomUUID() }] });
  expect(verdictsOf(await lease([await arrangeRun(admin, schedule)]))).toEqual(["held"]);
});

test("two batches that share schedules in opposite order do not deadlock", async () => {
  const schedules = [schedule, await arrangeSchedule(admin, schedule), await arrangeSchedule(admin, schedule)];
  for (let round = 0; round < 10; round += 1) {
    const batch = () => Promise.all(schedules.map((each) => arrangeRun(admin, each)));
    const [first, second] = [await batch(), await batch()];
    const answers = await Promise.all([lease(first), lease(second.toReversed()), lease([...first.toReversed(), ...second])]);
    expect(verdictsOf(answers.flat()).filter((verdict) => verdict === "leased")).toHaveLength(3);
    await admin`update downbeat.runs set state = 'succeeded' where schedule_id = any(${schedules.map((each) => each.scheduleId)}::uuid[])`;
  }
});

test("a run that is leased holds the gate in every state of its life until it has ended", async () => {
  const states: [RunState, string][] = [];
  for (const state of [...liveRunStates, ...finalRunStates]) {
    const own = await arrangeSchedule(admin, schedule);
    const run = await arrangeLeased(admin, own);
    await arrangeGate(admin, own, { holders: [run] });
    await admin`update downbeat.runs set state = ${state} where id = ${run.runId}`;
    states.push([state, verdictsOf(await lease([await arrangeRun(admin, own)])).join("")]);
  }
  expect(states.filter(([, verdict]) => verdict === "held").map(([state]) => state)).toEqual([...liveRunStates]);
});
