import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { markQueued } from "./mark-queued.ts";
import { finalRunStates, type RunState } from "./run-states.ts";
import { arrangeRun, arrangeSchedule, type ArrangedSchedule, atOneInstant, readRun } from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let dispatcher: Sql;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  dispatcher = database.connectAs("downbeat_dispatcher");
  schedule = await arrangeSchedule(admin);
});
afterAll(() => database.drop());

const lostAfterMs = 600_000;

test("a sent run is queued, and looked for when it has not started long after it was due", async () => {
  const run = await arrangeRun(admin, schedule, { state: "pending", scheduledInMs: 60_000, sweepInMs: 10_000 });
  await atOneInstant(dispatcher, async (sql) => {
    await markQueued(sql, [{ ...run, attempt: 0 }], lostAfterMs);
    const { state, queuedInMs, sweepInMs, dueInMs } = await readRun(sql, run);
    expect([state, queuedInMs]).toEqual(["queued", 0]);
    expect(sweepInMs).toBeCloseTo(dueInMs + lostAfterMs, 3);
  });
});

test("a run that is already late is looked for that long from now", async () => {
  const run = await arrangeRun(admin, schedule, { state: "pending", scheduledInMs: -3_600_000 });
  await atOneInstant(dispatcher, async (sql) => {
    await markQueued(sql, [{ ...run, attempt: 0 }], lostAfterMs);
    expect(await readRun(sql, run)).toMatchObject({ state: "queued", sweepInMs: lostAfterMs });
  });
});

test("a retry is queued like a first attempt; each time a run was sent again before doubles the wait for it", async () => {
  const run = await arrangeRun(admin, schedule, { state: "retrying", attempt: 2, redrives: 3, dueInMs: -1 });
  await atOneInstant(dispatcher, async (sql) => {
    await markQueued(sql, [{ ...run, attempt: 2 }], lostAfterMs);
    expect(await readRun(sql, run)).toMatchObject({ state: "queued", attempt: 2, sweepInMs: 8 * lostAfterMs });
  });
});

test.for(["queued", "running", ...finalRunStates] as RunState[])(
  "a run that is %s by now is further on than its message, and left alone",
  async (state) => {
    const run = await arrangeRun(admin, schedule, { state, sweepInMs: 45_000, leaseToken: randomUUID() });
    const before = await readRun(admin, run);
    await markQueued(dispatcher, [{ ...run, attempt: 0 }], lostAfterMs);
    const { state: after, queuedInMs, leaseToken } = await readRun(admin, run);
    expect([after, queuedInMs, leaseToken]).toEqual([state, null, before.leaseToken]);
  },
);

test("a run whose attempt failed before its message was marked keeps the instant of its retry", async () => {
  const run = await arrangeRun(admin, schedule, { state: "retrying", attempt: 1, dueInMs: 5_000, sweepInMs: 0 });
  await markQueued(dispatcher, [{ ...run, attempt: 0 }], lostAfterMs);
  expect(await readRun(admin, run)).toMatchObject({ state: "retrying", queuedInMs: null });
});

test("a run that somebody is writing right now is skipped, not waited for", async () => {
  const [held, free] = [await arrangeRun(admin, schedule, { state: "pending" }), await arrangeRun(admin, schedule, { state: "pending" })];
  await admin.begin(async (sql) => {
    await sql`select from downbeat.runs where id = ${held.runId} for update`;
    await markQueued(
      dispatcher,
      [held, free].map((run) => ({ ...run, attempt: 0 })),
      lostAfterMs,
    );
  });
  expect([(await readRun(admin, held)).state, (await readRun(admin, free)).state]).toEqual(["pending", "queued"]);
});
