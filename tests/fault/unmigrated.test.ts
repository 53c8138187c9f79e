import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type EmbeddedPostgres, removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { sendWakeUps } from "@downbeat/queue/send-wake-ups.ts";
import { encodeWakeUp } from "@downbeat/queue/wake-up.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import { dueChannel } from "@downbeat/store/listen-for-due.ts";
import { arrangeEndpoint, arrangeSchedules, databaseNow, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { deadlineMs } from "@downbeat/testkit/deadline.ts";
import { databaseUrl } from "@downbeat/testkit/global-setup.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import { type ServiceProcess, startServiceProcess } from "@downbeat/testkit/service-process.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

// Nothing waits this long when all is well, but a busy machine may take a while to start three processes.
vi.setConfig({ testTimeout: 3 * deadlineMs });

/** A server of its own, because roles belong to the server: on the shared one they are there already. */
let server: EmbeddedPostgres;
let sqs: TestQueueServer;
let folder: string;
let queue: QueueClient;
let queueUrl: string;
const processes: ServiceProcess[] = [];
const pools: Sql[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "downbeat-fault-"));
  // mkdtemp closes the folder to everybody else; the server may run as another user.
  await chmod(folder, 0o755);
  server = await startPostgres({ dataDir: join(folder, "postgres"), port: 0, isDurable: false });
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 4 });
});
beforeEach(async () => {
  // The queue server goes on holding the long poll of a killed executor, and would hand it the next test's message.
  ({ queueUrl } = await createQueues(queue, sqs.queueName("unmigrated"), 2));
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.kill()));
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeout: 1 })));
});
afterAll(async () => {
  queue.destroy();
  await sqs.stop();
  await server.stop();
  await removePostgres(join(folder, "postgres"));
  await rm(folder, { recursive: true });
});

async function createEmptyDatabase(): Promise<{ url: string; admin: Sql }> {
  const name = `empty_${randomUUID().slice(0, 8)}`;
  const maintenance = connectAsAdmin(server.url);
  await maintenance.unsafe(`create database ${name}`);
  const url = databaseUrl(server.url, name);
  return { url, admin: connectAsAdmin(url) };
}

function connectAsAdmin(url: string): Sql {
  const pool = connect({ url, connectionsMax: 1, applicationName: "test-admin" });
  pools.push(pool);
  return pool;
}

function start(role: "dispatcher" | "executor" | "api", database: string, settings: Record<string, string> = {}): ServiceProcess {
  const process = startServiceProcess({
    name: role,
    main: fileURLToPath(new URL(`../../services/${role}/src/main.ts`, import.meta.url)),
    environment: {
      DATABASE_URL: database,
      DOWNBEAT_SECRET_KEYS: testSecretKeys,
      SQS_QUEUE_URL: queueUrl,
      AWS_ENDPOINT_URL: sqs.endpoint,
      ALLOW_PRIVATE_TARGETS: "true",
      API_PORT: "0",
      DISPATCH_FOR_SECONDS: "forever",
      // Only a notification brings the next pass within the time of a test.
      PASS_INTERVAL_MS: "60000",
      RECEIVE_WAIT_SECONDS: "1",
      ...settings,
    },
  });
  processes.push(process);
  return process;
}

/** A message that names a run no ledger has: it makes an executor ask, and is kept as evidence in the end. */
async function sendStrayMessage(): Promise<void> {
  const refs = [{ tenantId: randomUUID(), runId: randomUUID() }];
  await sendWakeUps(queue, queueUrl, [{ refs, delaySeconds: 0, groupId: "stray", body: encodeWakeUp(refs) }]);
}

const says = (text: string) => (line: { msg?: string }) => line.msg?.includes(text) === true;
const recovers = (action: string) => (line: { msg?: string }) => line.msg === `recovered: ${action}`;

test("processes that start before the migration wait, say what for once a step, and work as soon as it is done", async () => {
  const { url, admin } = await createEmptyDatabase();
  await sendStrayMessage();
  const [dispatcher, executor, api] = [start("dispatcher", url), start("executor", url), start("api", url)];

  const notYet = "the schema is not there yet (role";
  await dispatcher.logged("it waits", says(`cannot dispatch: ${notYet}`));
  await executor.logged("it waits", says(`cannot lease runs: ${notYet}`));
  const { url: apiUrl } = await api.logged("it listens", says("listening"));
  const ask = (path: string) => fetch(`${String(apiUrl)}${path}`, { headers: { authorization: "Bearer dbk_test" } });
  const refused = await ask("/api/v1/schedules");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  await api.logged("it says why", says(`request failed: ${notYet}`));
  expect((await ask("/health")).status).toBe(503);

  await migrate(admin);
  await dispatcher.logged("it goes on", recovers("dispatch"));
  await executor.logged("it goes on", recovers("lease runs"));
  await until("the stray message to be kept as evidence", async () => (await admin`select 1 from downbeat.rejected_messages`).length === 1);
  expect((await ask("/health")).status).toBe(200);

  const receiver = await startReceiver();
  const endpoint = await arrangeEndpoint(admin, receiver.url);
  const now = Math.ceil(await databaseNow(admin));
  await arrangeSchedules(admin, endpoint, { rule: { kind: "once", runAt: now }, nextRunAt: now });
  await admin`select pg_notify(${dueChannel}, '')`;
  await receiver.received(1);
  await receiver.close();

  expect(processes.map(({ name, isAlive }) => [name, isAlive])).toEqual(processes.map(({ name }) => [name, true]));
  for (const { logs } of [dispatcher, executor]) {
    const steps = logs.filter(says("cannot ")).map(({ failures }) => failures);
    expect(steps).toEqual(steps.map((_, index) => index + 1));
    const isStray = says("rejected a message");
    expect(logs.filter((line) => (line.level === "error" || line.level === "fatal") && !isStray(line))).toEqual([]);
  }
});

test("processes newer than the schema wait for it, and say that it is older", async () => {
  const { url, admin } = await createEmptyDatabase();
  await migrate(admin);
  await admin.unsafe(`
    alter function downbeat.ensure_run_partitions rename to later;
    alter table downbeat.runs rename column lease_token to later`);
  await sendStrayMessage();
  const [dispatcher, executor] = [start("dispatcher", url), start("executor", url)];
  await dispatcher.logged(
    "it waits",
    says("cannot dispatch: the schema is older than this program (function downbeat.ensure_run_partitions"),
  );
  await executor.logged("it waits", says("cannot lease runs: the schema is older than this program (column "));
  await admin.unsafe(`
    alter function downbeat.later rename to ensure_run_partitions;
    alter table downbeat.runs rename column later to lease_token`);
  await dispatcher.logged("it goes on", recovers("dispatch"));
  await executor.logged("it goes on", recovers("lease runs"));
  expect(processes.every(({ isAlive }) => isAlive)).toBe(true);
});

test("a dispatcher's minute that never saw the schema is a failed Job: nothing was dispatched", async () => {
  const { url } = await createEmptyDatabase();
  const dispatcher = start("dispatcher", url, { DISPATCH_FOR_SECONDS: "1" });
  expect(await dispatcher.exited).toEqual({ code: 1, signal: null });
  expect(dispatcher.logs.some(says("the schema is not there yet"))).toBe(true);
});
