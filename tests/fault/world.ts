import { fileURLToPath } from "node:url";
import { type QueueClient, createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import {
  type ArrangedEndpoint,
  type ArrangedPolicy,
  arrangeEndpoint,
  arrangeSchedules,
  databaseNow,
  testSecretKeys,
} from "@downbeat/testkit/arrange.ts";
import { deadlineMs } from "@downbeat/testkit/deadline.ts";
import { type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { type ServiceProcess, type ServiceProcessOptions, startServiceProcess } from "@downbeat/testkit/service-process.ts";
import { createTestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { expect, type TestContext, vi } from "vitest";

// Nothing waits this long when all is well, but a busy machine may take a while to start a dozen processes.
vi.setConfig({ testTimeout: 3 * deadlineMs });

/** For the executor whose leases shall be lost soon. The others keep theirs long enough for a busy machine. */
export const shortLease = { LEASE_MS: "2000" };

/** Short waits between the steps, so that a test is over soon. */
const quickSettings = {
  DOWNBEAT_SECRET_KEYS: testSecretKeys,
  ALLOW_PRIVATE_TARGETS: "true",
  DISPATCH_FOR_SECONDS: "forever",
  PASS_INTERVAL_MS: "200",
  LEASE_GRACE_SECONDS: "0",
  PUBLISH_TIMEOUT_MS: "300",
  LEASE_MS: "10000",
  VISIBILITY_SECONDS: "2",
  // The queue server goes on holding the long poll of a killed client, and hands it the next message: it is lost until its visibility timeout.
  RECEIVE_WAIT_SECONDS: "1",
};

type Settings = Readonly<Record<string, string>>;

/** Everything around the services of one test, real and its own (of a queue server that is shared, the queue), so that no test sees the long polls, leases or messages of another. */
export interface World {
  /** An administrator's connection. */
  readonly sql: Sql;
  readonly queue: QueueClient;
  readonly queueUrl: string;
  readonly receiver: Receiver;
  readonly endpoint: ArrangedEndpoint;
  /** With `DISPATCH_FOR_SECONDS: "0"` it makes one pass. */
  startDispatcher(settings?: Settings, failpoint?: ServiceProcessOptions["failpoint"]): ServiceProcess;
  startExecutor(settings?: Settings, failpoint?: ServiceProcessOptions["failpoint"]): ServiceProcess;
  /** Schedules with a single occurrence, `inMs` from now. Answers their ids. */
  scheduleOnce(count: number, inMs?: number): Promise<string[]>;
  /**
   * Schedules that are due each second from now on. Unless told otherwise their occurrences all run, however late and beside each other: what is lost is lost by a fault and not by a
   * policy. Answers the first occurrence, in ms since 1970.
   */
  scheduleEachSecond(count: number, policy?: ArrangedPolicy): Promise<number>;
  /** Takes all schedules out of the due index. Answers the instant up to which, but not including, they have been evaluated. */
  unschedule(): Promise<number>;
  /** Resolves when the receiver has been called `count` times. */
  called(count: number): Promise<void>;
  /** Resolves when all `count` runs have come to their end and the queue holds no message any more: nothing more can happen. */
  quiet(count: number): Promise<void>;
}

export interface WorldOptions {
  context: TestContext;
  receiver?: Receiver;
  /** Of the endpoint; must fit into the lease. */
  timeoutMs?: number;
  /** Where the database is when the test needs one that it can take down. */
  database?: { url: string; admin: Sql; close(): Promise<void> };
  /** Where the queue is when the test takes it down. */
  queueEndpoint?: string;
}

export async function createWorld({ context, timeoutMs = 1_000, ...given }: WorldOptions): Promise<World> {
  const processes: ServiceProcess[] = [];
  const closers: (() => Promise<unknown>)[] = [];
  context.onTestFailed(() => {
    for (const { name, output } of processes) {
      const told = output.filter((line) => !line.includes('"msg":"attempt"')).slice(-25);
      console.error([`--- ${name}`, ...told.map((line) => line.slice(0, 300))].join("\n"));
    }
  });
  context.onTestFinished(async () => {
    await Promise.all(processes.map((process) => process.kill()));
    for (const close of closers.reverse()) await close();
    expect(processes.filter(({ pid }) => isRunning(pid)).map(({ name }) => name)).toEqual([]);
  });

  const database = given.database ?? (await cloneDatabase());
  closers.push(() => database.close());
  const server = given.queueEndpoint === undefined ? await startQueueServer() : undefined;
  if (server !== undefined) closers.push(() => server.stop());
  const endpoint = given.queueEndpoint ?? server?.endpoint ?? "";
  const receiver = given.receiver ?? (await startReceiver());
  closers.push(() => receiver.close());
  const sql = database.admin;
  const queue = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 16 });
  closers.push(async () => queue.destroy());
  const { queueUrl } = await createQueues(queue, server?.queueName("fault") ?? "fault", 2);
  const arranged = await arrangeEndpoint(sql, receiver.url, { timeoutMs });

  const start = (role: "dispatcher" | "executor", settings: Settings, failpoint?: ServiceProcessOptions["failpoint"]) => {
    const process = startServiceProcess({
      name: `${role} ${processes.length + 1}`,
      main: fileURLToPath(new URL(`../../services/${role}/src/main.ts`, import.meta.url)),
      environment: { ...quickSettings, DATABASE_URL: database.url, SQS_QUEUE_URL: queueUrl, AWS_ENDPOINT_URL: endpoint, ...settings },
      ...(failpoint === undefined ? {} : { failpoint }),
    });
    processes.push(process);
    return process;
  };

  return {
    sql,
    queue,
    queueUrl,
    receiver,
    endpoint: arranged,
    startDispatcher: (settings = {}, failpoint) => start("dispatcher", settings, failpoint),
    startExecutor: (settings = {}, failpoint) => start("executor", settings, failpoint),
    async scheduleOnce(count, inMs = 0) {
      const dueAt = Math.ceil(await databaseNow(sql)) + inMs;
      return arrangeSchedules(sql, arranged, { rule: { kind: "once", runAt: dueAt }, nextRunAt: dueAt, count });
    },
    async scheduleEachSecond(count, policy = { misfire: "all", overlap: "allow", max_instances: 1_000 }) {
      const anchorAt = Math.ceil((await databaseNow(sql)) / 1_000) * 1_000;
      // The first occurrence of an interval is one interval after its anchor.
      const rule = { kind: "interval", intervalSeconds: 1, anchorAt: anchorAt - 1_000 } as const;
      await arrangeSchedules(sql, arranged, { rule, policy, nextRunAt: anchorAt, count });
      return anchorAt;
    },
    async unschedule() {
      const rows = await sql<{ at: number }[]>`
        delete from downbeat.schedule_due returning (extract(epoch from next_run_at) * 1000)::float8 as at`;
      const ends = new Set(rows.map(({ at }) => at));
      expect(ends.size).toBe(1);
      return Math.max(...ends);
    },
    async called(count) {
      await until(`${count} calls`, () => receiver.calls.length >= count);
    },
    async quiet(count) {
      await until(`${count} runs to come to their end`, async () => {
        const [row] = await sql<{ ended: number; open: number }[]>`
          select count(*) filter (where finished_at is not null)::int as ended, count(*) filter (where finished_at is null)::int as open from downbeat.runs`;
        return row?.open === 0 && row.ended >= count;
      });
      await until("the queue to be empty", async () => {
        const { visible, inFlight, delayed } = await queueDepth(queue, queueUrl);
        return visible + inFlight + delayed === 0;
      });
    },
  };
}

async function cloneDatabase(): Promise<{ url: string; admin: Sql; close(): Promise<void> }> {
  const { url, admin, drop } = await createTestDatabase();
  return {
    url,
    admin,
    async close() {
      await noSessionsOf(admin, "downbeat-%");
      await drop();
    },
  };
}

/** Resolves when no session of these application names is left on the database: a killed process's transactions are rolled back and its locks free. */
export async function noSessionsOf(sql: Sql, applicationName: string): Promise<void> {
  await until(`the sessions ${applicationName} to end`, async () => {
    const [row] = await sql<{ sessions: number }[]>`
      select count(*)::int as sessions from pg_stat_activity where datname = current_database() and application_name like ${applicationName}`;
    return row?.sessions === 0;
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
