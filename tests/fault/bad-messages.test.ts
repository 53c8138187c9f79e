// F11 and F12: messages that are lost, and messages that cannot be read.
import { randomUUID } from "node:crypto";
import { PurgeQueueCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { encodeWakeUp } from "@downbeat/queue/wake-up.ts";
import { expect, test } from "vitest";
import { expectEachDeliveredOnce, readLedger } from "./ledger.ts";
import { createWorld } from "./world.ts";

const someRun = { tenantId: randomUUID(), runId: randomUUID() };

/** What no executor can read, and what the audit row must say of it. NUL itself cannot stand in an SQS message, but JSON can spell it. */
const unreadable = [
  { body: "{", reason: "not JSON" },
  { body: "null", reason: "message: " },
  { body: JSON.stringify({ v: 2, tenants: [{ id: randomUUID(), runs: [randomUUID()] }] }), reason: "v: " },
  { body: JSON.stringify({ v: 1, tenants: [] }), reason: "tenants: " },
  { body: JSON.stringify({ v: 1, tenants: [{ id: randomUUID(), runs: [] }] }), reason: "tenants.0.runs: " },
  { body: JSON.stringify({ v: 1, tenants: [{ id: "1 or 1=1", runs: [randomUUID()] }] }), reason: "tenants.0.id: " },
  { body: JSON.stringify({ v: 1, tenants: [{ id: randomUUID(), runs: ["\0"] }] }), reason: "tenants.0.runs.0: " },
  {
    body: JSON.stringify({ v: 1, "\0": 1, tenants: [{ id: randomUUID(), runs: [randomUUID()] }] }),
    reason: 'message: Unrecognized key: "\uFFFD"',
  },
  {
    body: encodeWakeUp(Array.from({ length: 101 }, () => ({ ...someRun, runId: randomUUID() }))),
    reason: "101 runs in one message, at most 100",
  },
  { body: "é".repeat(100_000), reason: "not JSON" },
];

test.concurrent("poison messages: each is read once, kept as evidence and deleted; the loop lives and delivers the next good run", async (context) => {
  const world = await createWorld({ context });
  const executor = world.startExecutor();
  await world.scheduleOnce(1);
  const claimed = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0" }, "dispatcher.claim-committed");
  await claimed.atFailpoint();
  await claimed.kill();
  const [run] = await readLedger(world.sql);
  const send = (body: string) => world.queue.send(new SendMessageCommand({ QueueUrl: world.queueUrl, MessageBody: body }));
  for (const { body } of unreadable) await send(body);
  // Readable, but these name nothing that exists: a run under another tenant's id, and one that nobody knows.
  const nameless = [encodeWakeUp([{ tenantId: someRun.tenantId, runId: run?.id ?? "" }]), encodeWakeUp([someRun])];
  for (const body of nameless) await send(body);
  const { MessageId: goodId } = await send(encodeWakeUp([{ tenantId: world.endpoint.tenantId, runId: run?.id ?? "" }]));

  await world.quiet(1);
  expect(executor.isAlive).toBe(true);
  await expectEachDeliveredOnce(world, 1);
  const rejected = await world.sql<{ message_id: string; reason: string; body: string }[]>`
    select message_id, reason, body from downbeat.rejected_messages`;
  expect(rejected.map(({ message_id }) => message_id)).not.toContain(goodId);
  const evidence = [...unreadable, ...nameless.map((body) => ({ body, reason: "which the ledger does not have" }))];
  const wanted = evidence.map(({ body, reason }) => ({ body: body.slice(0, 4_000), reason: expect.stringContaining(reason) as string }));
  expect(rejected).toHaveLength(wanted.length);
  expect(rejected).toEqual(expect.arrayContaining(wanted.map((row) => expect.objectContaining(row) as unknown)));
  expect(new Set(rejected.map(({ message_id }) => message_id)).size).toBe(wanted.length);
  const deadLetters = await queueDepth(world.queue, `${world.queueUrl}-dlq`);
  expect(deadLetters).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
});

test.concurrent("the queue purged behind our back: every run is found, sent again and delivered once", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(50);
  const settings = { LOST_AFTER_SECONDS: "1" };
  const dispatcher = world.startDispatcher({ ...settings, DISPATCH_FOR_SECONDS: "0" });
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  await world.queue.send(new PurgeQueueCommand({ QueueUrl: world.queueUrl }));
  expect(await queueDepth(world.queue, world.queueUrl)).toEqual({ visible: 0, inFlight: 0, delayed: 0 });

  const executor = world.startExecutor();
  await executor.logged("its start", ({ msg }) => msg === "executor ready");
  world.startDispatcher(settings);
  await world.quiet(50);
  await expectEachDeliveredOnce(world, 50);
  const events = await world.sql`select event, reason, count(distinct run_id)::int as runs from downbeat.run_events group by event, reason`;
  expect(events.map((event) => ({ ...event }))).toEqual([{ event: "pending", reason: "lost_in_queue", runs: 50 }]);
});
