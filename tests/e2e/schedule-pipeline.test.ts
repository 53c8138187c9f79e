import { randomBytes } from "node:crypto";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { readMigrations } from "@downbeat/store/migrate.ts";
import { until } from "@downbeat/testkit/until.ts";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { expectDoubledOnlyByLostLeases, expectEachCalledOnce, expectNeverEarly, expectNothingLost, verifiedCalls } from "./guarantees.ts";
import { databaseNow, readLedger } from "./ledger.ts";
import { Load } from "./load.ts";
import { openSystem } from "./open-system.ts";
import { isOnCluster, type System } from "./system.ts";
import { createTenant } from "./tenant.ts";

// On a cluster a test waits for the minute of the CronJob, and for leases of killed pods to run out.
vi.setConfig({ testTimeout: isOnCluster ? 600_000 : 60_000, hookTimeout: isOnCluster ? 300_000 : 60_000 });

let system: System;
beforeAll(async () => {
  system = await openSystem();
});
afterAll(() => system?.close());

test("Postgres answers, and its schema is that of this version", async () => {
  const applied = await system.sql`select name, checksum from downbeat.migrations order by name`;
  const wanted = await readMigrations();
  expect([...applied]).toEqual(wanted.map(({ name, checksum }) => ({ name, checksum })));
});

test("the queue exists, and hands what was received too often to its dead-letter queue", async () => {
  const { Attributes } = await system.queue.send(
    new GetQueueAttributesCommand({ QueueUrl: system.queueUrl, AttributeNames: ["RedrivePolicy"] }),
  );
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(Attributes?.["RedrivePolicy"] ?? "{}") as Record<string, string>;
  expect(deadLetterTargetArn).toMatch(/-dlq$/);
  expect(Number(maxReceiveCount)).toBeGreaterThan(1);
  await expect(queueDepth(system.queue, `${system.queueUrl}-dlq`)).resolves.toMatchObject({ inFlight: 0 });
});

test("a message that is sent is received, and gone once it is deleted", async ({ onTestFinished }) => {
  // A queue of its own: from the installation's the executors would take it.
  const { QueueUrl } = await system.queue.send(new CreateQueueCommand({ QueueName: `e2e-${randomBytes(4).toString("hex")}` }));
  onTestFinished(async () => void (await system.queue.send(new DeleteQueueCommand({ QueueUrl }))));
  await system.queue.send(new SendMessageCommand({ QueueUrl, MessageBody: "hello" }));
  const { Messages } = await system.queue.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  expect(Messages?.map(({ Body }) => Body)).toEqual(["hello"]);
  await system.queue.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages?.[0]?.ReceiptHandle }));
  expect(await queueDepth(system.queue, QueueUrl ?? "")).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
});

test("a schedule made through the API is called signed, once for each occurrence and never before it, and the ledger says who did it", async () => {
  const tenant = await createTenant(system, "whole-way");
  const firstAt = Math.ceil((await databaseNow(system.sql)) / 1_000) * 1_000 + 2_000;
  const occurrences = [0, 1_000, 2_000, 3_000].map((after) => firstAt + after);
  const [schedule] = await tenant.schedule([
    {
      name: "whole-way",
      interval_seconds: 1,
      anchor_at: new Date(firstAt - 1_000).toISOString(),
      ends_at: new Date(firstAt + 3_000).toISOString(),
      target: { path: "/hook" },
      input: { hello: "world" },
      overlap: "allow",
    },
  ]);
  const ended = async () => (await readLedger(system.sql, tenant.id)).filter(({ state }) => state === "succeeded").length === 4;
  await until("its four runs to succeed", ended, { deadlineMs: system.settleMsMax, everyMs: 100 });

  const ledger = await readLedger(system.sql, tenant.id);
  expect(ledger.map(({ scheduledFor }) => scheduledFor)).toEqual(occurrences);
  const calls = await tenant.calls();
  expect(verifiedCalls(calls, tenant.secret)).toEqual(new Map(ledger.map(({ id }) => [id, 1])));
  expect(calls.map(({ body }) => JSON.parse(body) as object)).toEqual(
    calls.map(() => expect.objectContaining({ schedule_id: schedule?.id, tenant_id: tenant.id, attempt: 1, input: { hello: "world" } })),
  );
  expectNeverEarly(calls);
  for (const { body, headers } of calls) expect(() => new Webhook(tenant.secret).verify(body, { ...headers })).not.toThrow();

  const { items } = await tenant.rest.call<{ items: { id: string; state: string }[] }>("GET", `/runs?schedule=${schedule?.id}`);
  expect(items.map(({ id, state }) => ({ id, state }))).toEqual(ledger.map(({ id }) => ({ id, state: "succeeded" })).reverse());
  const executors = await system.executors();
  const attempts = ledger.flatMap((run) => run.attempts.map(({ executor }) => executor ?? ""));
  expect(attempts.filter((name) => !executors.some((executor) => name.startsWith(`${executor}-`)))).toEqual([]);
  const passes = await system.sql<{ dispatcher: string; from: number; to: number }[]>`
    select dispatcher, (extract(epoch from started_at) * 1000)::float8 as from, (extract(epoch from finished_at) * 1000)::float8 as to
    from downbeat.dispatch_passes where claimed > 0`;
  for (const { queuedAt } of ledger) {
    const by = passes.filter(({ from, to }) => from <= (queuedAt ?? 0) && (queuedAt ?? 0) <= to).map(({ dispatcher }) => dispatcher);
    expect(by).toSatisfy((names: string[]) => names.some((name) => system.isOwnDispatcher(name)));
  }
  await tenant.clear();
});

test("replacing every executor under load loses nothing and calls nothing twice", async () => {
  const load = await Load.start(system, { purpose: "restart", schedules: 10 });
  await load.flows(10);
  const before = await system.executors();
  await system.restartExecutors();
  expect((await system.executors()).filter((name) => before.includes(name))).toEqual([]);
  await load.flows(10);
  expectEachCalledOnce(await load.stop());
});

test("an executor killed under load loses nothing; what is called again has the same webhook-id, once for each lease that was lost", async () => {
  const load = await Load.start(system, { purpose: "kill", schedules: 10, delayMs: 700 });
  await load.flows(10);
  const victim = await until("an executor with a call in flight", async () => {
    const callers = await load.callers();
    return (await system.executors()).find((name) => callers.some((caller) => caller.startsWith(`${name}-`)));
  });
  await system.killExecutor(victim);
  expect(await system.executors()).not.toContain(victim);
  await load.flows(20);
  const result = await load.stop();
  expectNothingLost(result);
  expectDoubledOnlyByLostLeases(result);
});

test("scaled from one executor to three, all three work", async ({ skip }) => {
  const autoscaler = await system.autoscaler();
  if (autoscaler !== null) skip(`${autoscaler} decides how many executors there are`);
  const before = (await system.executors()).length;
  await system.scaleExecutors(1);
  const load = await Load.start(system, { purpose: "scale", schedules: 15 });
  await load.flows(10);
  await system.scaleExecutors(3);
  const names = await system.executors();
  expect(names).toHaveLength(3);
  const work = async () => {
    const rows = await system.sql<{ executor: string }[]>`
      select distinct executor from downbeat.attempts where tenant_id = ${load.tenant.id} and outcome = 'success'`;
    return names.every((name) => rows.some(({ executor }) => executor.startsWith(`${name}-`)));
  };
  await until("each of the three to have delivered", work, { deadlineMs: system.settleMsMax, everyMs: 100 });
  expectEachCalledOnce(await load.stop());
  await system.scaleExecutors(before);
});

test("migrating once more beside running processes applies nothing and disturbs nothing", async () => {
  const load = await Load.start(system, { purpose: "migrate", schedules: 10 });
  await load.flows(10);
  expect(await system.migrate()).toEqual([]);
  await load.flows(20);
  expectEachCalledOnce(await load.stop());
});

test("a dispatcher killed under load loses nothing; the next minute's finds what it left", async () => {
  const load = await Load.start(system, { purpose: "dispatcher", schedules: 10 });
  await load.flows(10);
  const killed = await until("a dispatcher to be killed", () => system.killDispatcher("crash"), { deadlineMs: system.settleMsMax });
  const nextClaims = async () => {
    const passes = await system.sql<{ dispatcher: string }[]>`
      select dispatcher from downbeat.dispatch_passes where claimed > 0 order by started_at desc limit 1`;
    return passes.find(({ dispatcher }) => !dispatcher.startsWith(`${killed}-`))?.dispatcher;
  };
  const next = await until("the next dispatcher to claim", nextClaims, { deadlineMs: system.settleMsMax });
  expect(next).toSatisfy((name: string) => system.isOwnDispatcher(name));
  await load.flows(20);
  expectEachCalledOnce(await load.stop());
});
