// F2 and F10: two dispatchers at once, and messages delivered more than once.
import { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import { changeVisibility } from "@downbeat/queue/message-batches.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { type QueueMessage, receiveMessages } from "@downbeat/queue/receive-messages.ts";
import { decodeWakeUp, encodeWakeUp } from "@downbeat/queue/wake-up.ts";
import type { ServiceProcess } from "@downbeat/testkit/service-process.ts";
import { until } from "@downbeat/testkit/until.ts";
import { expect, test } from "vitest";
import { expectEachDeliveredOnce, readLedger } from "./ledger.ts";
import { createWorld, type World } from "./world.ts";

test("the same message delivered five times, to two executors at once: one call", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(20);
  const claimed = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0" }, "dispatcher.claim-committed");
  const executors = [world.startExecutor(), world.startExecutor()];
  await Promise.all([claimed.atFailpoint(), ...executors.map((one) => one.logged("its start", ({ msg }) => msg === "executor ready"))]);
  await claimed.kill();

  // Each request carries one copy of ten of the messages, so that copies of a run reach different receives.
  const ids = (await readLedger(world.sql)).map(({ id }) => id);
  const requests = Array.from({ length: 5 }, () => [ids.slice(0, 10), ids.slice(10)]).flat();
  await Promise.all(requests.map((runIds) => sendEach(world, runIds)));
  await world.quiet(20);
  const ledger = await expectEachDeliveredOnce(world, 20);
  expect(ledger.flatMap(({ outcomes }) => outcomes)).toEqual(ids.map(() => "success"));
});

async function sendEach({ queue, queueUrl, endpoint }: World, runIds: readonly string[]): Promise<void> {
  const Entries = runIds.map((runId, index) => ({
    Id: String(index),
    MessageBody: encodeWakeUp([{ tenantId: endpoint.tenantId, runId }]),
  }));
  const { Successful } = await queue.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  expect(Successful).toHaveLength(runIds.length);
}

test("two dispatchers at the same second with 5,000 due: exactly 5,000 runs, none sent twice, none called twice", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(5_000);
  const dispatchers = await atOneStartLine(world, () =>
    [1, 2].map(() => world.startDispatcher({ DISPATCH_FOR_SECONDS: "0", CLAIM_BATCH: "500", PUBLISH_TIMEOUT_MS: "10000" })),
  );
  for (const dispatcher of dispatchers) expect(await dispatcher.exited).toEqual({ code: 0, signal: null });

  const passes = await world.sql<
    { claimed: number; sent: number }[]
  >`select claimed, sent, send_failed, swept, error from downbeat.dispatch_passes`;
  expect(passes).toMatchObject([1, 2].map(() => ({ send_failed: 0, swept: 0, error: null })));
  expect(passes.filter(({ claimed }) => claimed > 0)).toHaveLength(2);
  expect(passes.reduce((sum, { claimed }) => sum + claimed, 0)).toBe(5_000);
  expect(passes.reduce((sum, { sent }) => sum + sent, 0)).toBe(5_000);
  const named = await runsNamedInQueue(world);
  expect(named).toHaveLength(5_000);
  expect(named.sort()).toEqual((await readLedger(world.sql)).map(({ id }) => id));

  world.startExecutor({ LOG_LEVEL: "warn", VISIBILITY_SECONDS: "10" });
  await world.quiet(5_000);
  await expectEachDeliveredOnce(world, 5_000);
});

/** Starts dispatchers and lets none of them claim until all are about to. */
async function atOneStartLine(world: World, start: () => ServiceProcess[]): Promise<ServiceProcess[]> {
  return world.sql.begin(async (transaction) => {
    await transaction`lock table downbeat.schedule_due in exclusive mode`;
    const dispatchers = start();
    await until("all dispatchers to be about to claim", async () => {
      const [row] = await world.sql<{ waiting: number }[]>`
        select count(*)::int as waiting from pg_stat_activity
        where datname = current_database() and application_name = 'downbeat-dispatcher' and wait_event_type = 'Lock'`;
      return row?.waiting === dispatchers.length;
    });
    return dispatchers;
  });
}

/** The run ids of all messages on the queue. The messages stay there. */
async function runsNamedInQueue({ queue: client, queueUrl }: World): Promise<string[]> {
  const { visible } = await queueDepth(client, queueUrl);
  const messages: QueueMessage[] = [];
  while (messages.length < visible) {
    messages.push(
      ...(await receiveMessages({ client, queueUrl, visibilitySeconds: 60, waitSeconds: 1, signal: new AbortController().signal })),
    );
  }
  for (let start = 0; start < messages.length; start += 10) {
    const changes = messages.slice(start, start + 10).map(({ receiptHandle }) => ({ receiptHandle, visibilitySeconds: 0 }));
    await changeVisibility(client, queueUrl, changes);
  }
  return messages.flatMap(({ body }) => {
    const decoded = decodeWakeUp(body);
    return decoded.isReadable ? decoded.refs.map(({ runId }) => runId) : [];
  });
}
