import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { accept, type ScriptedSqs, type SendAnswer, type SendEntry, startScriptedSqs } from "@downbeat/queue/scripted-sqs.test-support.ts";
import { decodeWakeUp } from "@downbeat/queue/wake-up.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import type { RunKey } from "@downbeat/store/run-key.ts";
import { arrangeRun, arrangeSchedule, type ArrangedSchedule, readRun } from "@downbeat/store/runs.test-support.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { delaySecondsUntil, Sender, type SenderOptions, type SendableRun, SendError } from "./send-claimed.ts";

let database: TestDatabase;
let schedule: ArrangedSchedule;
let server: ScriptedSqs | undefined;
let queue: QueueClient | undefined;
beforeAll(async () => {
  database = await createTestDatabase();
  schedule = await arrangeSchedule(database.admin);
});
afterAll(() => database.drop());
afterEach(async () => {
  queue?.destroy();
  await server?.close();
});

const now = Date.UTC(2026, 5, 1, 12);

async function arrangePending(count: number): Promise<SendableRun[]> {
  const runs: SendableRun[] = [];
  for (let index = 0; index < count; index += 1) {
    runs.push({ ...(await arrangeRun(database.admin, schedule, { state: "pending", sweepInMs: 10_000 })), attempt: 0, dueAt: now });
  }
  return runs;
}

/** A sender of one message with one run, one request at a time, unless told otherwise. */
async function createSender(
  answer: (entries: readonly SendEntry[], request: number) => SendAnswer | Promise<SendAnswer>,
  options: Partial<SenderOptions> = {},
) {
  server = await startScriptedSqs(answer);
  queue = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 16 });
  return new Sender({
    sql: database.connectAs("downbeat_dispatcher", 2),
    queue,
    queueUrl: `${server.endpoint}/000000000000/runs`,
    clock: new ManualClock(now),
    log: captureLog().log,
    runsPerMessage: 1,
    sendsInFlight: 1,
    lostAfterMs: 600_000,
    ...options,
  });
}

const acceptAll = (entries: readonly SendEntry[]): SendAnswer => ({ Successful: entries.map(accept) });
const stateOf = async (run: RunKey) => (await readRun(database.admin, run)).state;
const countStates = async (runs: readonly RunKey[]) => {
  const states = await Promise.all(runs.map(stateOf));
  return { queued: states.filter((state) => state === "queued").length, pending: states.filter((state) => state === "pending").length };
};
/** Read at `now`, at the start of a manual clock; where a delay does not matter, so long ago that none is left. */
const read = { nowAt: now, askedAtMs: 0 };
const sentIds = () =>
  (server?.requests ?? []).flat().flatMap(({ MessageBody }) => {
    const decoded = decodeWakeUp(MessageBody);
    return decoded.isReadable ? decoded.refs.map(({ runId }) => runId) : [];
  });

test("what the queue accepted is marked queued, each run sent once", async () => {
  const runs = await arrangePending(25);
  const sender = await createSender(acceptAll, { runsPerMessage: 20, sendsInFlight: 4 });
  sender.send(runs, read);
  await sender.settled();
  expect(await countStates(runs)).toEqual({ queued: 25, pending: 0 });
  expect(sentIds().sort()).toEqual(runs.map(({ runId }) => runId).sort());
  expect(sender.counts).toEqual({ sent: 25, failed: 0 });
});

test("entries of a batch that the queue did not take stay pending, and fail nothing else", async () => {
  const runs = await arrangePending(10);
  const sender = await createSender((entries) => ({
    Successful: entries.slice(0, 4).map(accept),
    Failed: entries.slice(4, 7).map(({ Id }) => ({ Id, Code: "InternalError", SenderFault: false })),
  }));
  sender.send(runs, read);
  await sender.settled();
  expect(await countStates(runs)).toEqual({ queued: 4, pending: 6 });
  expect(sender.counts).toEqual({ sent: 4, failed: 6 });
});

test("entries that the queue calls malformed stay pending and fail the pass: a person has to read that", async () => {
  const runs = await arrangePending(2);
  const sender = await createSender((entries) => ({
    Successful: entries.slice(1).map(accept),
    Failed: [{ Id: "0", Code: "InvalidMessageContents", SenderFault: true }],
  }));
  sender.send(runs, read);
  await expect(sender.settled()).rejects.toThrow("the queue refused 1 messages as malformed");
  expect(await countStates(runs)).toEqual({ queued: 1, pending: 1 });
});

test("the first request that fails as a whole stops the sender; what was accepted before it is marked, the rest stays pending", async () => {
  const runs = await arrangePending(40);
  const sender = await createSender((entries, request) => (request === 1 ? acceptAll(entries) : 503));
  sender.send(runs, read);
  await expect(sender.settled()).rejects.toThrow(SendError);
  // The second request and its one quick repetition; the third and fourth were never made.
  expect(server?.requests).toHaveLength(3);
  expect(await countStates(runs)).toEqual({ queued: 10, pending: 30 });
  expect(sender.counts).toEqual({ sent: 10, failed: 30 });
  sender.send(runs, read);
  await expect(sender.settled()).rejects.toThrow(SendError);
  expect(server?.requests).toHaveLength(3);
});

test("at most so many requests are open, across batches", async () => {
  let open = 0;
  let openMax = 0;
  const threeAreOpen = Promise.withResolvers<void>();
  const sender = await createSender(
    async (entries) => {
      open += 1;
      openMax = Math.max(openMax, open);
      if (open === 3) threeAreOpen.resolve();
      await threeAreOpen.promise;
      // Others that were allowed to come would have come by the time this one's rows have been read.
      await database.admin`select count(*) from downbeat.runs`;
      open -= 1;
      return acceptAll(entries);
    },
    { sendsInFlight: 3 },
  );
  for (let batch = 0; batch < 4; batch += 1) sender.send(await arrangePending(30), read);
  await sender.settled();
  expect(sender.counts.sent).toBe(120);
  expect(openMax).toBe(3);
});

test("each run's message becomes visible shortly before the run is due, counted from the moment it is sent", async () => {
  const runs = await arrangePending(3);
  const clock = new ManualClock(now);
  const sender = await createSender(acceptAll, { clock });
  const [past, soon, late] = runs as [SendableRun, SendableRun, SendableRun];
  sender.send([past, { ...soon, dueAt: now + 30_000 }, { ...late, dueAt: now + 4 * 3_600_000 }], read);
  await sender.settled();
  expect(
    (server?.requests ?? [])
      .flat()
      .map(({ DelaySeconds }) => DelaySeconds)
      .sort((a, b) => a - b),
  ).toEqual([0, 29, 900]);
});

test("what a run waited for its turn is taken off its delay: a slow queue makes no run late", async () => {
  const runs = await arrangePending(2);
  const clock = new ManualClock(now);
  const sender = await createSender(
    (entries) => {
      // The first request takes twenty seconds; the second waits for it.
      clock.advance(20_000);
      return acceptAll(entries);
    },
    { clock, sendsInFlight: 1 },
  );
  const [first, second] = runs as [SendableRun, SendableRun];
  sender.send([{ ...first, dueAt: now + 60_000 }], read);
  sender.send([{ ...second, dueAt: now + 60_000 }], read);
  await sender.settled();
  expect((server?.requests ?? []).flat().map(({ DelaySeconds }) => DelaySeconds)).toEqual([59, 39]);
});

test("a mark that fails is told when the sender is asked, and not as a rejection that ends the process", async () => {
  const gone = database.connectAs("downbeat_dispatcher", 1);
  await gone.end();
  const sender = await createSender(acceptAll, { sql: gone as Sql });
  sender.send(await arrangePending(1), read);
  // Until Node would have reported a rejection nobody looks at.
  while (sender.counts.sent === 0) await database.admin`select 1`;
  await database.admin`select 1`;
  await expect(sender.settled()).rejects.toMatchObject({ code: "CONNECTION_ENDED" });
});

test("nothing to send is nothing to wait for", async () => {
  const sender = await createSender(acceptAll);
  sender.send([], read);
  await sender.settled();
  expect(server?.requests).toEqual([]);
});

test("a delay is whole seconds, ends at least a second before the run is due, and is never more than SQS allows", () => {
  const delays = [-60_000, 0, 999, 1_000, 1_999, 2_000, 2_999, 75_000, 900_999, 901_000, 10_000_000].map((dueInMs) =>
    delaySecondsUntil(now + dueInMs, now),
  );
  expect(delays).toEqual([0, 0, 0, 0, 0, 1, 1, 74, 899, 900, 900]);
});

test("a server without fair queues gets every message all the same, and one line says what it means", async () => {
  const runs = await arrangePending(3);
  const { log, lines } = captureLog();
  const refuse = { Code: "InvalidParameterValue", Message: "MessageGroupId is not valid for this queue type", SenderFault: true };
  const answer = (entries: readonly SendEntry[]): SendAnswer =>
    entries.some(({ MessageGroupId }) => MessageGroupId !== undefined)
      ? { Failed: entries.map(({ Id }) => ({ Id, ...refuse })) }
      : acceptAll(entries);
  const sender = await createSender(answer, { log });
  for (const run of runs) sender.send([run], { nowAt: now, askedAtMs: 0 });
  await sender.settled();
  expect(await countStates(runs)).toEqual({ queued: 3, pending: 0 });
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([["warn", expect.stringContaining("does not support fair queues")]]);
});
