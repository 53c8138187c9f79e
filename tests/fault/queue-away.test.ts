// F9: the queue down at the start and under load.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@downbeat/embedded/postgres.ts";
import { type EmbeddedSqs, startSqs } from "@downbeat/embedded/sqs.ts";
import type { LogLine } from "@downbeat/testkit/service-process.ts";
import { expect, test, type TestContext } from "vitest";
import { callsByRun, expectEachDeliveredOnce, expectEveryOccurrence } from "./ledger.ts";
import { outageStory } from "./outage-story.ts";
import { createWorld } from "./world.ts";

interface OwnQueueServer {
  endpoint: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A queue server that can be stopped and started again on its port, with what was on it. */
async function startOwnQueueServer(context: TestContext): Promise<OwnQueueServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "downbeat-fault-"));
  const port = await freePort();
  let server: EmbeddedSqs | undefined = await startSqs({ port, dataDir });
  const stop = async () => {
    await server?.stop();
    server = undefined;
  };
  context.onTestFinished(async () => {
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  return {
    endpoint: server.endpoint,
    start: async () => {
      server = await startSqs({ port, dataDir });
    },
    stop,
  };
}

test.concurrent("the queue down at the start and again under load: nobody exits, one line a step, every occurrence is run", async (context) => {
  const queueServer = await startOwnQueueServer(context);
  const world = await createWorld({ context, queueEndpoint: queueServer.endpoint });
  const anchorAt = await world.scheduleEachSecond(20);
  await queueServer.stop();
  const dispatcher = world.startDispatcher({ HORIZON_SECONDS: "0" });
  const executor = world.startExecutor();
  await Promise.all([
    dispatcher.logged("its third failure", ({ action, failures }) => action === "dispatch" && failures === 3),
    executor.logged("its third failure", ({ action, failures }) => action === "receive messages" && failures === 3),
  ]);
  await queueServer.start();
  await world.called(60);

  const recovered = await executor.logged("its recovery", ({ msg }) => msg === "recovered: receive messages");
  await queueServer.stop();
  const isLater = (line: LogLine) => executor.logs.indexOf(line) > executor.logs.indexOf(recovered);
  await executor.logged("another outage", (line) => isLater(line) && line.action === "receive messages" && line.failures === 2);
  await queueServer.start();
  const callsBefore = world.receiver.calls.length;
  await world.called(callsBefore + 60);

  const endAt = await world.unschedule();
  await world.quiet(0);
  expect(dispatcher.isAlive).toBe(true);
  expect(executor.isAlive).toBe(true);
  await expectEveryOccurrence(world, { anchorAt, endAt, everyMs: 1_000 });
  expect(callsByRun(world).size).toBe(world.receiver.calls.length);
  expect(outageStory(dispatcher)).toEqual({ dispatch: expect.any(Number) });
  const unsettled = ["cannot delete messages", "cannot keep messages hidden", "cannot give messages back"];
  expect(outageStory(executor, { alsoLogged: unsettled })).toEqual({ "receive messages": expect.any(Number) });
});

test.concurrent("the queue down when all was claimed: the story goes on until it is really back, then everything is sent once", async (context) => {
  const queueServer = await startOwnQueueServer(context);
  const world = await createWorld({ context, queueEndpoint: queueServer.endpoint });
  await world.scheduleOnce(50);
  await queueServer.stop();
  // As in production, where a pass is over long before the sweep may send again what it could not.
  const dispatcher = world.startDispatcher({ PUBLISH_TIMEOUT_MS: "1500" });
  await dispatcher.logged("its third failure", ({ action, failures }) => action === "dispatch" && failures === 3);
  expect(dispatcher.logs.filter(({ msg }) => msg?.startsWith("recovered"))).toEqual([]);
  await queueServer.start();
  world.startExecutor();
  await world.quiet(50);
  await expectEachDeliveredOnce(world, 50);
  expect(outageStory(dispatcher)).toEqual({ dispatch: expect.any(Number) });
});
