import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { leaseRuns } from "./lease-runs.ts";
import { pauseFailing } from "./pause-failing.ts";
import { arrangeRun, arrangeSchedule, type ArrangedSchedule } from "./runs.test-support.ts";

let database: TestDatabase;
let admin: Sql;
let executor: Sql;
let endpoint: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ admin } = database);
  executor = database.connectAs("downbeat_executor");
  endpoint = await arrangeSchedule(admin);
});
afterAll(() => database.drop());

/** A schedule that is due, has failed `failures` times in a row, and is to be paused after three. */
async function arrangeFailing(failures: number, maxFailures: number | null = 3): Promise<ArrangedSchedule> {
  const schedule = await arrangeSchedule(admin, endpoint, maxFailures === null ? {} : { max_failures: maxFailures });
  const { tenantId, scheduleId } = schedule;
  await admin`insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at) values (${tenantId}, ${scheduleId}, now())`;
  await admin`insert into downbeat.schedule_stats (tenant_id, schedule_id, failed, consecutive_failures, last_error)
    values (${tenantId}, ${scheduleId}, ${failures + 4}, ${failures}, 'http_500')`;
  return schedule;
}

const pause = (...schedules: ArrangedSchedule[]) => pauseFailing(executor, schedules, "executor-1");

async function readPause({ scheduleId }: ArrangedSchedule) {
  const [row] = await admin`
    select paused_at is not null as "isPaused", pause_reason as reason, revision,
      exists (select from downbeat.schedule_due due where due.schedule_id = rule.id) as "isDue",
      (select json_agg(concat_ws(' ', actor, event, reason)) from downbeat.schedule_events event where event.schedule_id = rule.id) as events
    from downbeat.schedules rule where id = ${scheduleId}`;
  return row;
}

test("a schedule that failed as often in a row as it may is paused, with the reason, out of the due index, and with an entry in its journal", async () => {
  const schedule = await arrangeFailing(3);
  const { tenantId, scheduleId } = schedule;
  expect(await pause(schedule)).toEqual([{ tenantId, scheduleId, failures: 3 }]);
  const reason = "Paused by itself after 3 failures in a row; the last one: http_500";
  expect(await readPause(schedule)).toEqual({
    isPaused: true,
    reason,
    revision: 2,
    isDue: false,
    events: [`executor-1 auto_paused ${reason}`],
  });
});

test("asked again, or by several executors at once, it is paused once", async () => {
  const schedule = await arrangeFailing(5);
  const answers = await Promise.all([pause(schedule, schedule), pause(schedule), pause(schedule)]);
  expect(answers.flat()).toHaveLength(1);
  expect(await pause(schedule)).toEqual([]);
  expect(await readPause(schedule)).toMatchObject({ revision: 2, events: { length: 1 } });
});

test("one that failed less often, one without a limit and one that is paused or deleted already are left as they are", async () => {
  const [seldom, unlimited, paused, deleted] = [
    await arrangeFailing(2),
    await arrangeFailing(9, null),
    await arrangeFailing(3),
    await arrangeFailing(3),
  ];
  await admin`update downbeat.schedules set paused_at = now(), pause_reason = 'by hand' where id = ${paused.scheduleId}`;
  await admin`update downbeat.schedules set deleted_at = now() where id = ${deleted.scheduleId}`;
  expect(await pause(seldom, unlimited, paused, deleted)).toEqual([]);
  for (const schedule of [seldom, unlimited, deleted])
    expect(await readPause(schedule)).toMatchObject({ isPaused: false, revision: 1, isDue: true });
  expect(await readPause(paused)).toMatchObject({ reason: "by hand", revision: 1, events: null });
});

test("what was claimed ahead of the pause is not called any more", async () => {
  const schedule = await arrangeFailing(3);
  const run = await arrangeRun(admin, schedule, { scheduledInMs: 20_000 });
  await pause(schedule);
  const { answers } = await leaseRuns(executor, { keys: [run], executor: "executor-1", leaseMs: 45_000, holdMsMax: 30_000 });
  expect(answers).toEqual([{ verdict: "canceled", key: run }]);
});

test("pausing waits for a claim of the schedule, and a claim for it, without a deadlock", async () => {
  const schedules = await Promise.all(Array.from({ length: 8 }, () => arrangeFailing(3)));
  const dispatcher = database.connectAs("downbeat_dispatcher");
  // The order of a claim: the due rows, then the rules.
  const claim = (each: ArrangedSchedule) =>
    dispatcher.begin(async (sql) => {
      await sql`select from downbeat.schedule_due where schedule_id = ${each.scheduleId} for update`;
      await sql`update downbeat.schedules set updated_at = now() where id = ${each.scheduleId}`;
    });
  const answers = await Promise.all(schedules.map((each) => Promise.all([pause(each), claim(each)])));
  expect(answers.flatMap(([paused]) => paused)).toHaveLength(8);
});

test("a slot that fell due while no dispatcher claimed it falls into the pause, so that resuming accounts for it", async () => {
  const schedule = await arrangeFailing(3);
  await admin`update downbeat.schedule_due set next_run_at = now() - interval '10 minutes' where schedule_id = ${schedule.scheduleId}`;
  await pause(schedule);
  const [row] = await admin`
    select paused_at < now() - interval '10 minutes' as "isBefore", revised_at > now() - interval '1 minute' as "isRevisedNow"
    from downbeat.schedules where id = ${schedule.scheduleId}`;
  expect(row).toEqual({ isBefore: true, isRevisedNow: true });
});
