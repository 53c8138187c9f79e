import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { listenForDue } from "./listen-for-due.ts";
import { markQueued } from "./mark-queued.ts";
import type { RunKey } from "./run-key.ts";
import { finalRunStates } from "./run-states.ts";
import {
  arrangeGate,
  arrangeLeased,
  arrangeRun,
  arrangeSchedule,
  type ArrangedSchedule,
  readRun,
  type RunFields,
} from "./runs.test-support.ts";
import { type OverdueRun, takeOverdue } from "./take-overdue.ts";
import { wakeWaiting } from "./wake-waiting.ts";

let database: TestDatabase;
let admin: Sql;
let schedule: ArrangedSchedule;
let ended: RunKey;

beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
});
afterAll(() => database.drop());
beforeEach(async () => {
  schedule = await arrangeSchedule(admin, undefined, { overlap: "queue_all" });
  ended = await arrangeRun(admin, schedule, { state: "succeeded", scheduledInMs: -90_000 });
});

/** As `settleHeld` leaves a run that waits. */
const waiting = (fields: RunFields = {}) =>
  arrangeRun(admin, schedule, { state: "pending", reason: "overlap", sweepInMs: 600_000, ...fields });

const wake = (runs: readonly RunKey[], sql = database.connectAs("downbeat_executor", 1)) => wakeWaiting(sql, runs);

/** Which of them the next sweep takes. */
async function wokenOf(...runs: RunKey[]): Promise<boolean[]> {
  return Promise.all(runs.map(async (run) => ((await readRun(admin, run)).sweepInMs ?? 1) <= 0));
}

const sweep = (): Promise<OverdueRun[]> =>
  database.connectAs("downbeat_dispatcher", 1).begin((sql) =>
    takeOverdue(sql, {
      runsMax: 100,
      publishTimeoutMs: 60_000,
      redrivesMax: 5,
      attemptsMax: 9,
      areLeasesJudged: true,
      leaseGraceMs: 0,
      tenantId: schedule.tenantId,
    }),
  );

test("when a run has ended the first in line is sent with the next sweep, and only that one", async () => {
  const [first, second] = [await waiting({ scheduledInMs: -20_000 }), await waiting({ scheduledInMs: -10_000 })];
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [first, second] });
  await wake([ended]);
  expect(await wokenOf(first, second)).toEqual([true, false]);
  expect(await sweep()).toMatchObject([{ runId: first.runId, found: "unsent", isSendable: true, attempt: 0 }]);
});

test("the dispatchers are told, and not when there is nothing to do", async () => {
  let told = 0;
  const stop = listenForDue(database.url, () => (told += 1));
  await until("the listener to be there", async () => {
    const rows =
      await admin`select from pg_stat_activity where application_name = 'downbeat-dispatcher-listen' and datname = current_database() and query like 'listen%'`;
    return rows.length > 0;
  });
  await arrangeGate(admin, schedule, { holders: [ended] });
  await wake([ended]);
  const run = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [run] });
  await wake([ended]);
  await until("the notification", () => told > 0);
  expect(told).toBe(1);
  await stop();
});

test("while another run is under way nobody has a turn", async () => {
  const run = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended, await arrangeLeased(admin, schedule)], waiting: [run] });
  await wake([ended]);
  expect(await wokenOf(run)).toEqual([false]);
});

test("those in line that have ended meanwhile are passed over", async () => {
  const over: RunKey[] = [];
  for (const state of finalRunStates) over.push(await arrangeRun(admin, schedule, { state }));
  const run = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [...over, run] });
  await wake([ended]);
  expect(await wokenOf(run)).toEqual([true]);
  expect(await Promise.all(over.map(async (each) => (await readRun(admin, each)).sweepInMs))).toEqual(over.map(() => null));
});

test("a run that is on its way to its turn already is left alone, and so are those behind it", async () => {
  const onItsWay = await arrangeRun(admin, schedule, { state: "queued", sweepInMs: 600_000 });
  const behind = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [onItsWay, behind] });
  await wake([ended]);
  expect(await wokenOf(onItsWay, behind)).toEqual([false, false]);
});

test("only the schedules of the runs that have ended are looked at, each of them once", async () => {
  const other = await arrangeSchedule(admin, schedule, { overlap: "queue_all" });
  const elsewhere = await arrangeRun(admin, other, { state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(admin, other, { waiting: [elsewhere] });
  const run = await waiting();
  const also = await arrangeRun(admin, schedule, { state: "failed" });
  await arrangeGate(admin, schedule, { holders: [ended, also], waiting: [run] });
  await wake([ended, also, ended]);
  expect(await wokenOf(run, elsewhere)).toEqual([true, false]);
  await wake([]);
});

test("a dispatcher that gives a run up may wake the next one too", async () => {
  const run = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [run] });
  await wake([ended], database.connectAs("downbeat_dispatcher", 1));
  expect(await wokenOf(run)).toEqual([true]);
});

test("a run that is sent to its turn does not count as waiting any more, so that the mark of its message finds it", async () => {
  const run = await waiting();
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [run] });
  await wake([ended]);
  const [taken] = await sweep();
  expect(await readRun(admin, run)).toMatchObject({ state: "pending", reason: null });
  await markQueued(database.connectAs("downbeat_dispatcher", 1), [{ ...run, attempt: taken?.attempt ?? -1 }], 600_000);
  expect(await readRun(admin, run)).toMatchObject({ state: "queued" });
});

test("the mark of a message that was received, and its run told to wait, before the mark came changes nothing: the run would not hear that its turn has come", async () => {
  const run = await waiting({ sweepInMs: 60_000 });
  await markQueued(database.connectAs("downbeat_dispatcher", 1), [{ ...run, attempt: 0 }], 600_000);
  expect(await readRun(admin, run)).toMatchObject({ state: "pending", reason: "overlap" });
  await arrangeGate(admin, schedule, { holders: [ended], waiting: [run] });
  await wake([ended]);
  expect(await wokenOf(run)).toEqual([true]);
});
