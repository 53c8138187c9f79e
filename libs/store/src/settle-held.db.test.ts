import { databaseNow } from "@downbeat/testkit/arrange.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import type { Overlap } from "@downbeat/timing/pass-gate.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { type LeasedRun, leaseRuns } from "./lease-runs.ts";
import { type AttemptRecord, recordOutcomes } from "./record-outcomes.ts";
import type { Lease } from "./renew-leases.ts";
import type { RunKey } from "./run-key.ts";
import {
  arrangeGate,
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  atOneInstant,
  readAttempts,
  readGate,
  readJournal,
  readRun,
  type RunFields,
  type ScheduleFields,
} from "./runs.test-support.ts";
import { type HeldAnswer, settleHeld } from "./settle-held.ts";
import { takeOverdue } from "./take-overdue.ts";
import { wakeWaiting } from "./wake-waiting.ts";

let database: TestDatabase;
let admin: Sql;
let executor: Sql;
let endpoint: ArrangedSchedule;

beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  executor = database.connectAs("downbeat_executor", 6);
  endpoint = await arrangeSchedule(admin);
});
afterAll(() => database.drop());

/** A schedule of which a run is being called. */
async function arrangeHeld(fields: ScheduleFields): Promise<{ schedule: ArrangedSchedule; holder: Lease }> {
  const schedule = await arrangeSchedule(admin, endpoint, fields);
  const holder = await arrangeLeased(admin, schedule, { scheduledInMs: -3_600_000 });
  await arrangeGate(admin, schedule, { holders: [holder], started: 1 });
  return { schedule, holder };
}

const settle = (keys: readonly RunKey[], sql = executor): Promise<HeldAnswer[]> => settleHeld(sql, keys, "executor-1");
const admitted = (key: RunKey, ...replaced: RunKey[]): HeldAnswer => ({
  verdict: "admitted",
  key,
  replaced: replaced.map(({ runId }) => runId),
});
const settled = (key: RunKey): HeldAnswer => ({ verdict: "settled", key });
const end = (run: RunKey, state = "succeeded") => admin`update downbeat.runs set state = ${state}, sweep_at = null where id = ${run.runId}`;

/** What an executor does with runs: lease, decide about those that are held, lease those that are let in. Answers the runs it may call. */
async function start(keys: readonly RunKey[], sql = executor): Promise<LeasedRun[]> {
  const lease = async (runs: readonly RunKey[]) => {
    const { answers } = await leaseRuns(sql, { keys: runs, executor: "executor-1", leaseMs: 45_000, holdMsMax: 0 });
    return {
      leased: answers.flatMap((answer) => (answer.verdict === "leased" ? [answer.run] : [])),
      held: answers.flatMap((answer) => (answer.verdict === "held" ? [answer.key] : [])),
    };
  };
  const { leased, held } = await lease(keys);
  for (let pending = held; pending.length > 0;) {
    const answers = await settle(pending, sql);
    const again = await lease(answers.flatMap((answer) => (answer.verdict === "admitted" ? [answer.key] : [])));
    leased.push(...again.leased);
    pending = again.held;
  }
  return leased;
}

const success = ({ tenantId, runId, leaseToken }: Lease): AttemptRecord => ({
  tenantId,
  runId,
  leaseToken,
  attempt: 1,
  outcome: "success",
  code: null,
  httpStatus: 204,
  startedAt: Date.now(),
  durationMs: 1,
  responseExcerpt: null,
  next: { state: "succeeded" },
});

test("`skip`: the run is skipped for good, names the run that held its place, and the gate is as it was", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "skip" });
  const run = await arrangeRun(admin, schedule);
  expect(await settle([run])).toEqual([settled(run)]);
  const row = await readRun(admin, run);
  expect(row).toMatchObject({
    state: "skipped",
    reason: "overlap",
    blockedBy: holder.runId,
    attempt: 0,
    sweepInMs: null,
    leaseToken: null,
  });
  expect(row.finishedInMs).not.toBeNull();
  expect(await readJournal(admin, run)).toEqual(["executor-1 skipped overlap"]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [holder.runId], waiting: [], started: 1 });
  expect(await readRun(admin, holder)).toMatchObject({ state: "running", leaseToken: holder.leaseToken });
});

test("`queue_one`: the first waits and is looked at again after a minute, a second is skipped", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "queue_one" });
  const second = await arrangeRun(admin, schedule);
  const first = await arrangeRun(admin, schedule, { redrives: 2 });
  expect(await settle([second, first])).toEqual([settled(second), settled(first)]);
  const waiting = await readRun(admin, first);
  expect(waiting).toMatchObject({
    state: "pending",
    reason: "overlap",
    blockedBy: holder.runId,
    attempt: 0,
    redrives: 0,
    finishedInMs: null,
  });
  expect(waiting.sweepInMs).toBeGreaterThan(30_000);
  expect(waiting.sweepInMs).toBeLessThanOrEqual(60_000);
  expect(await readJournal(admin, first)).toEqual([`executor-1 waiting behind run ${holder.runId}`]);
  expect(await readRun(admin, second)).toMatchObject({ state: "skipped", reason: "overlap", blockedBy: holder.runId });
  expect(await readGate(admin, schedule)).toEqual({ holders: [holder.runId], waiting: [first.runId], started: 1 });
});

test("`queue_all`: they wait in the order of their instants, and those behind are looked at seldom", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "queue_all" });
  const [third, second, first] = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
  await settle([second, third, first]);
  expect(await readGate(admin, schedule)).toMatchObject({ holders: [holder.runId], waiting: [first.runId, second.runId, third.runId] });
  const looks = await Promise.all(
    [first, second, third].map(async (run) => Math.round(((await readRun(admin, run)).sweepInMs ?? 0) / 60_000)),
  );
  expect(looks).toEqual([1, 10, 10]);
});

test("when the holder has ended the first in line has its turn, and the others wait behind it", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "queue_all" });
  const [second, first] = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
  await settle([first, second]);
  await end(holder);
  expect(await settle([second])).toEqual([settled(second)]);
  expect(await readRun(admin, second)).toMatchObject({ state: "pending", reason: "overlap", blockedBy: first.runId });
  expect((await start([first])).map(({ runId }) => runId)).toEqual([first.runId]);
  expect(await readRun(admin, first)).toMatchObject({ state: "running", reason: null, attempt: 1, blockedBy: holder.runId });
  expect(await readGate(admin, schedule)).toEqual({ holders: [first.runId], waiting: [second.runId], started: 2 });
  expect(await readRun(admin, second)).toMatchObject({ state: "pending", blockedBy: first.runId });
});

test("a run that waits and was withdrawn meanwhile is in nobody's way", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "queue_one" });
  const [second, first] = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
  await settle([first]);
  await end(first, "canceled");
  await end(holder);
  expect((await start([second])).map(({ runId }) => runId)).toEqual([second.runId]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [second.runId], waiting: [], started: 2 });
});

test("`allow`: as many are let in as the schedule allows, oldest first, and the next is skipped", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "allow", max_instances: 3 });
  const [newest, middle, oldest] = [
    await arrangeRun(admin, schedule),
    await arrangeRun(admin, schedule),
    await arrangeRun(admin, schedule),
  ];
  expect(await settle([newest, middle, oldest])).toEqual([settled(newest), admitted(middle), admitted(oldest)]);
  expect(await readGate(admin, schedule)).toEqual({ holders: [holder.runId, oldest.runId, middle.runId], waiting: [], started: 3 });
  expect(await readRun(admin, newest)).toMatchObject({ state: "skipped", reason: "overlap", blockedBy: holder.runId });
  expect((await start([oldest, middle])).map(({ runId }) => runId).sort()).toEqual([oldest.runId, middle.runId].sort());
});

test("`cancel_previous`: the run under way is canceled, its attempt is on the ledger, and its executor can write nothing more", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const run = await arrangeRun(admin, schedule);
  expect(await settle([run])).toEqual([admitted(run, holder)]);
  expect(await readRun(admin, holder)).toMatchObject({
    state: "canceled",
    reason: "superseded",
    blockedBy: run.runId,
    leaseToken: null,
    sweepInMs: null,
  });
  expect(await readJournal(admin, holder)).toEqual(["executor-1 canceled superseded"]);
  expect(await readAttempts(admin, holder)).toMatchObject([{ attempt: 1, outcome: "unknown", code: "superseded", executor: "executor-1" }]);
  expect(await recordOutcomes(executor, [success(holder)], "executor-1")).toEqual([]);
  expect(await readAttempts(admin, holder)).toHaveLength(1);
  expect(await readGate(admin, schedule)).toEqual({ holders: [run.runId], waiting: [], started: 2 });
  expect(await start([run])).toMatchObject([{ runId: run.runId, attempt: 1 }]);
});

test.for([
  ["waits for a retry", { state: "retrying", attempt: 1 }],
  ["was handed back uncalled", { state: "queued", attempt: 0 }],
] as [string, RunFields][])("`cancel_previous` of a run that %s writes no attempt: none is open", async ([, fields]) => {
  const schedule = await arrangeSchedule(admin, endpoint, { overlap: "cancel_previous" });
  const holder = await arrangeRun(admin, schedule, { ...fields, scheduledInMs: -3_600_000 });
  await arrangeGate(admin, schedule, { holders: [holder] });
  const run = await arrangeRun(admin, schedule);
  expect(await settle([run])).toEqual([admitted(run, holder)]);
  expect(await readRun(admin, holder)).toMatchObject({ state: "canceled", reason: "superseded" });
  expect(await readAttempts(admin, holder)).toEqual([]);
});

test("`cancel_previous` of several at once: each takes the place of the one before it, and the newest runs", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const [newer, older] = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
  expect(await settle([newer, older])).toEqual([admitted(newer, older), admitted(older, holder)]);
  expect(await start([older, newer])).toMatchObject([{ runId: newer.runId }]);
  expect(await readRun(admin, older)).toMatchObject({ state: "canceled", reason: "superseded", attempt: 0 });
});

test("a run that comes to its own end while it is to be canceled keeps that end, and nobody is told that it was canceled", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const run = await arrangeRun(admin, schedule);
  let answers: Promise<HeldAnswer[]> | undefined;
  await admin.begin(async (other) => {
    await other`update downbeat.runs set state = 'succeeded', sweep_at = null where id = ${holder.runId}`;
    answers = settle([run], database.connectAs("downbeat_executor", 1));
    await until("the cancellation to wait", async () => {
      const rows = await admin`
        select from pg_stat_activity where datname = current_database() and application_name = 'test-downbeat_executor' and wait_event_type = 'Lock'`;
      return rows.length === 1;
    });
  });
  expect(await answers).toEqual([admitted(run)]);
  expect(await readRun(admin, holder)).toMatchObject({ state: "succeeded", reason: null });
  expect(await readAttempts(admin, holder)).toEqual([]);
});

test.for(["skip", "queue_one", "queue_all", "allow", "cancel_previous"] as const)(
  "under `%s` a run that somebody asked for is let in beside others, cancels nothing, and holds the gate itself",
  async (overlap) => {
    const { schedule, holder } = await arrangeHeld({ overlap, max_instances: 1 });
    const manual = await arrangeRun(admin, schedule, { triggerId: "request-1" });
    expect(await settle([manual])).toEqual([admitted(manual)]);
    expect(await readGate(admin, schedule)).toEqual({ holders: [holder.runId, manual.runId], waiting: [], started: 1 });
    expect(await start([manual])).toMatchObject([{ runId: manual.runId }]);
    await end(holder);
    const run = await arrangeRun(admin, schedule);
    await settle([run]);
    const isLetIn = overlap === "cancel_previous";
    expect((await readGate(admin, schedule))?.holders).toEqual([isLetIn ? run.runId : manual.runId]);
  },
);

test("nothing happens to a run that is not due yet, is under way, or has ended", async () => {
  const { schedule } = await arrangeHeld({ overlap: "skip" });
  const runs = [
    await arrangeRun(admin, schedule, { scheduledInMs: 20_000 }),
    await arrangeLeased(admin, schedule),
    await arrangeRun(admin, schedule, { state: "succeeded" }),
    await arrangeRun(admin, schedule, { state: "canceled" }),
  ];
  const states = () => Promise.all(runs.map(async (run) => (await readRun(admin, run)).state));
  const before = await states();
  expect((await settle(runs)).map(({ verdict }) => verdict)).toEqual(["settled", "settled", "settled", "settled"]);
  expect(await states()).toEqual(before);
  expect(await settle([])).toEqual([]);
});

test("two messages that name one run have one answer, and what it replaces is told with both", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "cancel_previous" });
  const run = await arrangeRun(admin, schedule);
  expect(await settle([run, run])).toEqual([admitted(run, holder), admitted(run, holder)]);
  expect(await readJournal(admin, holder)).toEqual(["executor-1 canceled superseded"]);
});

test("schedules in one batch are decided about each by its own policy and its own gate", async () => {
  const held = await Promise.all([
    arrangeHeld({ overlap: "skip" }),
    arrangeHeld({ overlap: "queue_all" }),
    arrangeHeld({ overlap: "allow" }),
  ]);
  const runs: RunKey[] = [];
  for (const { schedule } of held) runs.push(await arrangeRun(admin, schedule));
  await settle(runs);
  const states = await Promise.all(runs.map(async (run) => (await readRun(admin, run)).state));
  expect(states).toEqual(["skipped", "pending", "queued"]);
  const gates = await Promise.all(held.map(({ schedule }) => readGate(admin, schedule)));
  expect(gates.map((gate) => [gate?.holders.length, gate?.waiting.length])).toEqual([
    [1, 0],
    [1, 1],
    [2, 0],
  ]);
});

test("a limit of runs is counted exactly, however many executors start runs at once; those beyond it are skipped", async () => {
  for (let round = 0; round < 10; round += 1) {
    const schedule = await arrangeSchedule(admin, endpoint, { overlap: "allow", max_instances: 100, max_runs: 3 });
    const runs = await Promise.all(Array.from({ length: 12 }, () => arrangeRun(admin, schedule)));
    const started = await Promise.all(Array.from({ length: 4 }, (_, index) => start(runs.slice(3 * index, 3 * index + 3))));
    expect(started.flat()).toHaveLength(3);
    expect(await readGate(admin, schedule)).toMatchObject({ started: 3 });
    const rows = await admin`
      select state, reason, count(*)::int as runs from downbeat.runs where schedule_id = ${schedule.scheduleId} group by state, reason order by state`;
    expect(rows).toEqual([
      { state: "running", reason: null, runs: 3 },
      { state: "skipped", reason: "max_runs", runs: 9 },
    ]);
  }
});

test("a limit of runs counts what was started and not what was skipped, and lets retries and requests by hand pass", async () => {
  const { schedule, holder } = await arrangeHeld({ overlap: "skip", max_runs: 2 });
  const skipped = await arrangeRun(admin, schedule);
  expect(await start([skipped])).toEqual([]);
  expect(await readRun(admin, skipped)).toMatchObject({ state: "skipped", reason: "overlap" });
  await end(holder);
  const last = await arrangeRun(admin, schedule);
  expect(await start([last])).toHaveLength(1);
  await admin`update downbeat.runs set state = 'retrying', lease_token = null where id = ${last.runId}`;
  expect(await start([last])).toMatchObject([{ attempt: 2 }]);
  await end(last);
  expect(await start([await arrangeRun(admin, schedule, { triggerId: "request-1" })])).toHaveLength(1);
  // Sent again by a person after it had ended: it was counted when it first started.
  await admin`update downbeat.runs set state = 'queued' where id = ${holder.runId}`;
  await admin`update downbeat.runs set state = 'succeeded' where schedule_id = ${schedule.scheduleId} and trigger_id <> ''`;
  expect(await start([holder])).toHaveLength(1);
  await end(holder);
  const beyond = await arrangeRun(admin, schedule);
  expect(await start([beyond])).toEqual([]);
  expect(await readRun(admin, beyond)).toMatchObject({ state: "skipped", reason: "max_runs", blockedBy: null });
  expect(await readGate(admin, schedule)).toMatchObject({ started: 2 });
});

// At once ---------------------------------------------------------------------------------------------------------------------------

/** How many runs of a schedule may be called at once. */
const limitOf: Readonly<Record<Overlap, number>> = { skip: 1, queue_one: 1, queue_all: 1, allow: 2, cancel_previous: 1 };

test.for(Object.keys(limitOf) as Overlap[])(
  "executors that start runs of one schedule at once never have more of them under way than `%s` lets, and settle each one, in many rounds",
  async (overlap) => {
    const schedule = await arrangeSchedule(admin, endpoint, { overlap, max_instances: 2 });
    for (let round = 0; round < 25; round += 1) {
      const runs = [await arrangeRun(admin, schedule), await arrangeRun(admin, schedule), await arrangeRun(admin, schedule)];
      const started = (await Promise.all(runs.map((run) => start([run])))).flat();
      const rows = await admin<{ id: string; state: string }[]>`
        select id, state from downbeat.runs where schedule_id = ${schedule.scheduleId} and id = any(${runs.map(({ runId }) => runId)}::uuid[])`;
      const running = rows.filter(({ state }) => state === "running").map(({ id }) => id);
      expect(running.length).toBe(limitOf[overlap]);
      expect(started.map(({ runId }) => runId)).toEqual(expect.arrayContaining(running));
      // None is left to a message that nobody will see again.
      const expected = {
        skip: ["skipped"],
        queue_one: ["pending", "skipped"],
        queue_all: ["pending"],
        allow: ["skipped"],
        cancel_previous: ["canceled"],
      }[overlap];
      const others = rows.filter(({ state }) => state !== "running");
      expect([...new Set(others.map(({ state }) => state))].sort()).toEqual(expected);
      await admin`
        update downbeat.runs set state = 'succeeded', sweep_at = null where schedule_id = ${schedule.scheduleId} and state in ('running', 'pending')`;
    }
  },
);

test("a line under `queue_all` is called in order and one at a time by executors that work at once, and nobody waits for the clock", async () => {
  const dispatcher = database.connectAs("downbeat_dispatcher", 1);
  const { schedule, holder } = await arrangeHeld({ overlap: "queue_all" });
  const now = Math.floor(await databaseNow(admin));
  const runs: RunKey[] = [];
  for (let index = 0; index < 12; index += 1) runs.push(await arrangeRun(admin, schedule, { scheduledInMs: index - 20_000 }));
  // Three executors at once tell them to wait, each some of them.
  await Promise.all([settle(runs.slice(8)), settle(runs.slice(0, 4)), settle(runs.slice(4, 8))]);
  const called: string[] = [];
  let underWay = 0;
  const record = async (lease: Lease) => {
    const recorded = await recordOutcomes(executor, [success(lease)], "executor-1");
    expect(recorded).toMatchObject([{ runId: lease.runId, mayBeAwaited: true }]);
    await wakeWaiting(executor, recorded);
  };
  const work = async (keys: readonly RunKey[]): Promise<void> => {
    for (const run of await start(keys)) {
      underWay += 1;
      expect(underWay).toBe(1);
      called.push(run.runId);
      await admin`select 1`;
      underWay -= 1;
      await record(run);
    }
  };
  await record(holder);
  await until("the line to be empty", async () => {
    const due = await atOneInstant(dispatcher, (sql) =>
      takeOverdue(sql, { runsMax: 100, publishTimeoutMs: 60_000, redrivesMax: 5, attemptsMax: 9, areLeasesJudged: false, leaseGraceMs: 0 }),
    );
    const mine = due.filter((key) => runs.some(({ runId }) => runId === key.runId));
    // Two executors get a message of it: one finds that there is nothing to do.
    await Promise.all([work(mine), work(mine)]);
    return called.length >= runs.length;
  });
  expect(called).toEqual(runs.map(({ runId }) => runId).sort());
  expect((await databaseNow(admin)) - now).toBeLessThan(50_000);
});

test("a run that is told to wait in the moment in which the one before it ends has its turn at once, in many rounds", async () => {
  for (let round = 0; round < 40; round += 1) {
    const { schedule, holder } = await arrangeHeld({ overlap: "queue_one" });
    const run = await arrangeRun(admin, schedule);
    const ending = recordOutcomes(executor, [success(holder)], "executor-1").then((recorded) => wakeWaiting(executor, recorded));
    const waiting = start([run]).then(async (started) => {
      // As the executor does for each run that it was told to leave.
      if (started.length === 0) await wakeWaiting(executor, [run]);
    });
    await Promise.all([ending, waiting]);
    const { state, reason, sweepInMs } = await readRun(admin, run);
    expect(state === "running" || (state === "pending" && reason === "overlap" && (sweepInMs ?? 1) <= 0)).toBe(true);
  }
});
