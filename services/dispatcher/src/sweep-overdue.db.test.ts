import { arrangeGate, arrangeRun, arrangeSchedule, type RunFields, readRun } from "@downbeat/store/runs.test-support.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sweepLimits, sweepOverdue } from "./sweep-overdue.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const sweep = () =>
  sweepOverdue({
    sql: database.connectAs("downbeat_dispatcher", 1),
    batchSize: 100,
    publishTimeoutMs: 10_000,
    areLeasesJudged: true,
    leaseGraceMs: 0,
  });

test.for([
  ["its last attempt was lost with its executor", { state: "running", attempt: sweepLimits.attemptsMax }],
  ["no executor ever took it up", { state: "queued", redrives: sweepLimits.redrivesMax }],
] as [string, RunFields][])("when a run is given up because %s the next in line has its turn", async ([, fields]) => {
  const schedule = await arrangeSchedule(database.admin, undefined, { overlap: "queue_all" });
  const holder = await arrangeRun(database.admin, schedule, { ...fields, scheduledInMs: -3_600_000, sweepInMs: -1 });
  const next = await arrangeRun(database.admin, schedule, { state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(database.admin, schedule, { holders: [holder], waiting: [next] });
  expect(await sweep()).toMatchObject([{ runId: holder.runId, isSendable: false }]);
  expect(await readRun(database.admin, holder)).toMatchObject({ state: "failed" });
  expect(await sweep()).toMatchObject([{ runId: next.runId, found: "unsent", isSendable: true }]);
});

test("a run that is to be tried again keeps its place: the next in line goes on waiting", async () => {
  const schedule = await arrangeSchedule(database.admin, undefined, { overlap: "queue_all" });
  const holder = await arrangeRun(database.admin, schedule, { state: "running", attempt: 1, scheduledInMs: -3_600_000, sweepInMs: -1 });
  const next = await arrangeRun(database.admin, schedule, { state: "pending", reason: "overlap", sweepInMs: 600_000 });
  await arrangeGate(database.admin, schedule, { holders: [holder], waiting: [next] });
  expect(await sweep()).toMatchObject([{ runId: holder.runId, isSendable: true }]);
  expect(await sweep()).toEqual([]);
});
