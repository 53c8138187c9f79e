// F6: Postgres down at the start, and `kill -9` of it at the worst moments and under load.
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { randomUUID } from "node:crypto";
import { encodeWakeUp } from "@downbeat/queue/wake-up.ts";
import { dueChannel } from "@downbeat/store/listen-for-due.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { callsByRun, expectEachDeliveredOnce, expectEveryOccurrence, readLedger, statesOf } from "./ledger.ts";
import { outageStory } from "./outage-story.ts";
import { type OwnDatabase, type OwnPostgres, startOwnPostgres } from "./own-postgres.ts";
import { createWorld, shortLease, type World } from "./world.ts";

let postgres: OwnPostgres;

beforeAll(async () => {
  postgres = await startOwnPostgres();
});

afterAll(async () => {
  await postgres.remove();
});

/** Resolves when a process's statement stands in the database waiting for a table that is held. */
async function waitingFor({ admin }: OwnDatabase, applicationName: string): Promise<void> {
  await until(`${applicationName} to stand in a statement`, async () => {
    const [row] = await admin<{ waiting: number }[]>`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and application_name = ${applicationName} and wait_event_type = 'Lock'`;
    return (row?.waiting ?? 0) > 0;
  });
}

/** A message that changes nothing, but makes the executor want the database. */
async function sendUnknownRun({ queue, queueUrl }: World): Promise<void> {
  const body = encodeWakeUp([{ tenantId: randomUUID(), runId: randomUUID() }]);
  await queue.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }));
}

test.for([
  { transaction: "claim", table: "downbeat.schedules" },
  { transaction: "sweep", table: "downbeat.attempts" },
])(
  "Postgres killed in the middle of a $transaction: the dispatcher lives on and nothing is lost or doubled",
  async ({ transaction, table }, context) => {
    const database = await postgres.createDatabase(`killed_in_${transaction}`);
    const world = await createWorld({ context, database });
    await world.scheduleOnce(20);
    await database.holdTable(table);
    const dispatcher = world.startDispatcher();
    await waitingFor(database, "downbeat-dispatcher");
    await postgres.kill();
    await dispatcher.logged("the second failure", ({ action, failures }) => action === "dispatch" && failures === 2);
    await postgres.start();
    const executor = world.startExecutor();
    await world.quiet(20);
    await expectEachDeliveredOnce(world, 20);
    expect(outageStory(dispatcher)).toEqual({ dispatch: expect.any(Number) });
    expect(outageStory(executor)).toEqual({});
  },
);

test("Postgres killed while outcomes are being recorded: they are recorded when it is back, no call is repeated", async (context) => {
  const database = await postgres.createDatabase("killed_in_record");
  const world = await createWorld({ context, database });
  await world.scheduleOnce(20);
  const dispatcher = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0" });
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  await database.holdTable("downbeat.attempts");
  const executor = world.startExecutor();
  await world.called(20);
  await waitingFor(database, "downbeat-executor");
  await postgres.kill();
  await executor.logged("the second failure", ({ action, failures }) => action === "record outcomes" && failures === 2);
  await postgres.start();
  await world.quiet(20);
  const ledger = await expectEachDeliveredOnce(world, 20);
  expect(ledger.every(({ attempt, outcomes }) => attempt === 1 && outcomes.length === 1)).toBe(true);
  expect(outageStory(executor)).toEqual({ "record outcomes": expect.any(Number) });
});

test("Postgres killed while a run waits so long for its slot that its lease must be renewed: it is called once, when that is done", async (context) => {
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  const receiver = await startReceiver((_call, response, number) => {
    if (number === 1) void told.then(() => response.writeHead(204).end());
    else response.writeHead(204).end();
  });
  const database = await postgres.createDatabase("killed_before_renewal");
  const world = await createWorld({ context, database, receiver, timeoutMs: 1_900 });
  await world.scheduleOnce(2);
  const dispatcher = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0" });
  const executor = world.startExecutor({ ...shortLease, MAX_CONCURRENT_RUNS: "1" });
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  await world.called(1);
  await until("the second run to be leased", async () => (await statesOf(world.sql))["running"] === 2);
  await postgres.kill();
  await world.queue.send(new SendMessageCommand({ QueueUrl: world.queueUrl, MessageBody: "unreadable" }));
  // More than half a second after both leases were taken: less than three quarters of them are left.
  await executor.logged("the second failure", ({ action, failures }) => action === "keep a rejected message" && failures === 2);
  tell();
  await executor.logged("a renewal that fails", ({ action, failures }) => action === "renew leases" && failures === 1);
  expect(receiver.calls).toHaveLength(1);
  await postgres.start();
  await world.quiet(2);
  await expectEachDeliveredOnce(world, 2);
  expect(Object.keys(outageStory(executor, { alsoLogged: ["rejected a message"] })).sort()).toEqual([
    "keep a rejected message",
    "record outcomes",
    "renew leases",
  ]);
});

test("Postgres down at the start and again under load: nobody exits, one line a step, every occurrence is run", async (context) => {
  const database = await postgres.createDatabase("down_under_load");
  const world = await createWorld({ context, database });
  const anchorAt = await world.scheduleEachSecond(20);
  await sendUnknownRun(world);
  await postgres.kill();
  const dispatcher = world.startDispatcher({ HORIZON_SECONDS: "0" });
  const executor = world.startExecutor({ LEASE_MS: "3000" });
  await Promise.all([
    dispatcher.logged("its third failure", ({ action, failures }) => action === "dispatch" && failures === 3),
    executor.logged("its third failure", ({ action, failures }) => action === "lease runs" && failures === 3),
  ]);
  await postgres.start();
  await world.called(60);

  await postgres.kill();
  await dispatcher.logged("its second failure", ({ action, failures }) => action === "dispatch" && failures === 2);
  await postgres.start();
  const callsBefore = world.receiver.calls.length;
  await world.called(callsBefore + 60);

  const endAt = await world.unschedule();
  await world.quiet(0);
  expect(dispatcher.isAlive).toBe(true);
  expect(executor.isAlive).toBe(true);
  await expectEveryOccurrence(world, { anchorAt, endAt, everyMs: 1_000 });
  // A call is repeated only where the kill cost its executor the lease.
  const calls = callsByRun(world);
  for (const { id, outcomes } of await readLedger(world.sql)) expect(calls.get(id)).toBeLessThanOrEqual(outcomes.length);
  expect(Object.keys(outageStory(dispatcher)).sort()).toEqual(["dispatch"]);
  expect(Object.keys(outageStory(executor, { alsoLogged: ["attempt fenced", "rejected a message"] }))).toContain("lease runs");
});

test("after an outage of Postgres a notification wakes the dispatcher again, long before its next pass", async (context) => {
  const database = await postgres.createDatabase("listening_again");
  const world = await createWorld({ context, database });
  await postgres.kill();
  const dispatcher = world.startDispatcher({ PASS_INTERVAL_MS: "60000", HORIZON_SECONDS: "0" });
  const executor = world.startExecutor();
  await dispatcher.logged("its second failure", ({ action, failures }) => action === "dispatch" && failures === 2);
  await postgres.start();
  const listening = () =>
    until("the dispatcher to listen", async () => {
      const [row] = await world.sql<{ sessions: number }[]>`
        select count(*)::int as sessions from pg_stat_activity where datname = current_database() and query ilike 'listen%'`;
      return row?.sessions === 1;
    });
  await listening();
  // The first pass is over: without the notification, the next one comes in a minute.
  await until("the first pass", async () => (await world.sql`select id from downbeat.dispatch_passes`).length === 1);
  await postgres.kill();
  await postgres.start();
  await listening();
  await executor.logged("its start", ({ msg }) => msg === "executor ready");
  await world.scheduleOnce(1);
  await world.sql`select pg_notify(${dueChannel}, '')`;
  await world.quiet(1);
  const [run] = await expectEachDeliveredOnce(world, 1);
  expect(run).toMatchObject({ attempt: 1, redrives: 0 });
});
