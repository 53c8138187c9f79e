// F1: `kill -9` of a dispatcher at each of its failpoints.
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { until } from "@downbeat/testkit/until.ts";
import { expect, test } from "vitest";
import { expectEachDeliveredOnce, statesOf } from "./ledger.ts";
import { createWorld, noSessionsOf, type World } from "./world.ts";

const onePass = { DISPATCH_FOR_SECONDS: "0" };
/** One message a run and one request at a time, so that "between two sends" is a definite place. */
const oneByOne = { ...onePass, RUNS_PER_MESSAGE: "1", SENDS_IN_FLIGHT: "1" };

/** Resolves when nobody else is allowed the time to send what the killed dispatcher had claimed. */
async function publishTimeoutOver({ sql }: World): Promise<void> {
  await until("the publish timeout to pass", async () => {
    const [row] = await sql<{ runs: number }[]>`select count(*)::int as runs from downbeat.runs where sweep_at > now()`;
    return row?.runs === 0;
  });
}

/** One pass of a new process. Answers what it did, by its `dispatch_passes` row. */
async function nextPass(world: World, settings: Record<string, string> = onePass): Promise<Record<string, unknown>> {
  const dispatcher = world.startDispatcher(settings);
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  const [pass] =
    await world.sql`select claimed, sent, send_failed, swept, error from downbeat.dispatch_passes order by started_at desc limit 1`;
  return { ...pass };
}

test.concurrent("a dispatcher killed in the middle of a claim leaves nothing behind: no run, no moved watermark, no lock", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(50);
  const dueRows = () => world.sql`select schedule_id, next_run_at from downbeat.schedule_due order by schedule_id`;
  const before = await dueRows();
  const killed = world.startDispatcher(onePass, "dispatcher.claim-locked");
  await killed.atFailpoint();
  await killed.kill();
  await noSessionsOf(world.sql, "downbeat-dispatcher");

  expect(await statesOf(world.sql)).toEqual({});
  expect(await dueRows()).toEqual(before);
  world.startExecutor();
  expect(await nextPass(world)).toMatchObject({ claimed: 50, sent: 50, swept: 0, error: null });
  await world.quiet(50);
  await expectEachDeliveredOnce(world, 50);
});

test.concurrent("a dispatcher killed after the claim's commit and before any send: the next pass sends every run, each is delivered once", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(50);
  const killed = world.startDispatcher(onePass, "dispatcher.claim-committed");
  await killed.atFailpoint();
  await killed.kill();

  expect(await statesOf(world.sql)).toEqual({ pending: 50 });
  expect(await queueDepth(world.queue, world.queueUrl)).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
  await publishTimeoutOver(world);
  world.startExecutor();
  expect(await nextPass(world)).toMatchObject({ claimed: 0, sent: 50, swept: 50, error: null });
  await world.quiet(50);
  await expectEachDeliveredOnce(world, 50);
});

test.concurrent.for([
  { place: "between two sends", failpoint: "dispatcher.message-batch-sent:2", sentBefore: 20 },
  { place: "after the last send and before the mark", failpoint: "dispatcher.sent-before-mark", sentBefore: 60 },
] as const)("a dispatcher killed $place: messages are doubled, calls are not", async ({ failpoint, sentBefore }, context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(60);
  const killed = world.startDispatcher(oneByOne, failpoint);
  await killed.atFailpoint();
  await killed.kill();

  expect(await statesOf(world.sql)).toEqual({ pending: 60 });
  expect(await queueDepth(world.queue, world.queueUrl)).toMatchObject({ visible: sentBefore });
  await publishTimeoutOver(world);
  expect(await nextPass(world, oneByOne)).toMatchObject({ claimed: 0, sent: 60, swept: 60, error: null });
  expect(await queueDepth(world.queue, world.queueUrl)).toMatchObject({ visible: sentBefore + 60 });
  // Two executors, so that both copies of a message may be in work at once.
  world.startExecutor();
  world.startExecutor();
  await world.quiet(60);
  await expectEachDeliveredOnce(world, 60);
});
