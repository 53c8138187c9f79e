import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { readGates } from "./read-gates.ts";
import type { RunKey } from "./run-key.ts";
import { finalRunStates, liveRunStates } from "./run-states.ts";
import { arrangeGate, arrangeLeased, arrangeRun, arrangeSchedule, type ArrangedSchedule } from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
});
afterAll(() => database.drop());
beforeEach(async () => {
  schedule = await arrangeSchedule(admin);
});

const read = (...schedules: (ArrangedSchedule & { maxRuns?: number | null })[]) =>
  readGates(
    database.connectAs("downbeat_dispatcher", 1),
    schedules.map(({ tenantId, scheduleId, maxRuns = null }) => ({ tenantId, scheduleId, maxRuns })),
  );

const idsOf = (...runs: RunKey[]) => runs.map(({ runId }) => runId);

test("a schedule that nothing ever started has an empty gate", async () => {
  const { tenantId, scheduleId } = schedule;
  expect(await read(schedule)).toEqual([{ tenantId, scheduleId, holders: [], waiting: [], started: 0, outstanding: 0 }]);
  expect(await read()).toEqual([]);
});

test("runs are in the gate by their state: those that have ended are left out, the others come oldest first", async () => {
  const live: RunKey[] = [];
  const over: RunKey[] = [];
  for (const state of liveRunStates) live.push(await arrangeRun(admin, schedule, { state }));
  for (const state of finalRunStates) over.push(await arrangeRun(admin, schedule, { state }));
  await arrangeGate(admin, schedule, { holders: [...live, ...over], waiting: [...over, ...live], started: 12 });
  const sorted = idsOf(...live).sort();
  expect(await read(schedule)).toMatchObject([{ holders: sorted, waiting: sorted, started: 12 }]);
});

test("several gates are read in one statement, each in its own place", async () => {
  const other = await arrangeSchedule(admin, schedule);
  const [run, holder] = [await arrangeLeased(admin, schedule), await arrangeLeased(admin, other)];
  await arrangeGate(admin, schedule, { holders: [run], started: 1 });
  await arrangeGate(admin, other, { holders: [holder], started: 2 });
  expect(await read(other, schedule)).toMatchObject([
    { scheduleId: other.scheduleId, holders: idsOf(holder), started: 2 },
    { scheduleId: schedule.scheduleId, holders: idsOf(run), started: 1 },
  ]);
});

test("of a schedule with a limit the claimed runs that may yet start are counted, and nothing else", async () => {
  const holder = await arrangeLeased(admin, schedule);
  const handedBack = await arrangeRun(admin, schedule, { state: "queued" });
  // These three count.
  await arrangeRun(admin, schedule, { state: "pending", scheduledInMs: 60_000 });
  await arrangeRun(admin, schedule, { state: "queued" });
  await arrangeRun(admin, schedule, { state: "pending", reason: "overlap" });
  // These do not: started, over, asked for by a person, of a backfill, of another schedule.
  await arrangeRun(admin, schedule, { state: "retrying", attempt: 1 });
  await arrangeRun(admin, schedule, { state: "queued", attempt: 2 });
  for (const state of finalRunStates) await arrangeRun(admin, schedule, { state });
  await arrangeRun(admin, schedule, { state: "queued", triggerId: "request-1" });
  await arrangeRun(admin, schedule, { state: "queued", triggerId: "backfill 7" });
  await arrangeRun(admin, await arrangeSchedule(admin, schedule), { state: "queued" });
  await arrangeGate(admin, schedule, { holders: [holder, handedBack], started: 2 });
  expect(await read({ ...schedule, maxRuns: 9 })).toMatchObject([{ started: 2, outstanding: 3 }]);
  expect(await read(schedule)).toMatchObject([{ outstanding: 0 }]);
});

test("without a gate every claimed run may yet start", async () => {
  await arrangeRun(admin, schedule, { state: "queued" });
  expect(await read({ ...schedule, maxRuns: 9 })).toMatchObject([{ started: 0, outstanding: 1 }]);
});
