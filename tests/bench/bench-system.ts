import { type ChildProcess, fork } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPostgres } from "@downbeat/embedded/postgres.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import { testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { cpuSeconds } from "./process-cpu.ts";

export interface SinkReport {
  calls: number;
  distinct: number;
  lagsMs: number[];
  lastAtMs: number;
}

export interface Usage {
  /** CPU seconds by role. */
  cpu: Record<string, number>;
  sqsRequests: Record<string, number>;
  transactions: number;
}

/** The whole of Downbeat as real processes on this machine, with durable Postgres, around a sink that takes the calls. */
export interface BenchSystem {
  sql: Sql;
  sinkUrl: string;
  /** Starts dispatcher and executors. */
  startWorkers(): Promise<void>;
  usage(): Promise<Usage>;
  /** Resolves when the sink has taken `count` calls. */
  delivered(count: number, timeoutMs: number): Promise<void>;
  sinkReport(): Promise<SinkReport>;
  close(): Promise<void>;
}

export interface BenchOptions {
  delayMs: number;
  executors: number;
}

/** Runs `measure` on a system of its own and leaves nothing behind, also when it fails or is interrupted. */
export async function withBenchSystem(options: BenchOptions, measure: (system: BenchSystem) => Promise<void>): Promise<void> {
  const system = await startBenchSystem(options);
  const interrupted = new Promise<never>((_, reject) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => reject(new Error("interrupted")));
  });
  try {
    await Promise.race([measure(system), interrupted]);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    await system.close();
  }
  // A measurement that was interrupted may still be waiting for something.
  process.exit();
}

async function startBenchSystem({ delayMs, executors }: BenchOptions): Promise<BenchSystem> {
  const folder = await mkdtemp(join(tmpdir(), "downbeat-bench-"));
  // The server may run as another user than the one whose temporary folder this is.
  await chmod(folder, 0o755);
  const postgres = await startPostgres({ dataDir: join(folder, "postgres"), port: 0, isDurable: true });
  const sql = connect({ url: postgres.url, connectionsMax: 2, applicationName: "bench" });
  await migrate(sql);
  const sqs = fork(sibling("sqs-server.ts"));
  const { endpoint } = await answer<{ endpoint: string }>(sqs, "endpoint");
  const client = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 2 });
  const { queueUrl } = await createQueues(client, "bench", 60);
  client.destroy();
  const sink = fork(sibling("sink.ts"), { env: { ...process.env, DELAY_MS: String(delayMs) } });
  const { port } = await answer<{ port: number }>(sink, "port");
  const environment = {
    ...process.env,
    DATABASE_URL: postgres.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: endpoint,
    DOWNBEAT_SECRET_KEYS: testSecretKeys,
    ALLOW_PRIVATE_TARGETS: "true",
    DISPATCH_FOR_SECONDS: "forever",
  };
  const workers: Record<string, ChildProcess> = {};
  const startWorker = (name: string, service: string) => {
    const main = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
    workers[name] = fork(main, { env: environment, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  };
  return {
    sql,
    sinkUrl: `http://127.0.0.1:${port}`,
    async startWorkers() {
      startWorker("dispatcher", "dispatcher");
      for (let number = 1; number <= executors; number += 1) startWorker(`executor ${number}`, "executor");
      await sql`select pg_stat_clear_snapshot()`;
      // Ready when each has opened its database sessions.
      for (;;) {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::int as count from downbeat.dispatch_passes`;
        if ((row?.count ?? 0) > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async usage() {
      const pids: Record<string, number | undefined> = { postgres: postgres.process.pid, "sqs server": sqs.pid, sink: sink.pid };
      for (const [name, worker] of Object.entries(workers)) pids[name] = worker.pid;
      const cpu: Record<string, number> = {};
      for (const [name, pid] of Object.entries(pids)) if (pid !== undefined) cpu[name] = await cpuSeconds(pid);
      sqs.send({});
      const { requests } = await answer<{ requests: Record<string, number> }>(sqs, "requests");
      const [row] = await sql<{ transactions: number }[]>`
        select (xact_commit + xact_rollback)::int as transactions from pg_stat_database where datname = current_database()`;
      return { cpu, sqsRequests: requests, transactions: row?.transactions ?? 0 };
    },
    delivered: (count, timeoutMs) =>
      new Promise((resolve, reject) => {
        let seen = 0;
        const timer = setTimeout(() => finish(new Error(`${seen} of ${count} calls arrived within ${timeoutMs / 1000} s`)), timeoutMs);
        const onMessage = (message: { delivered?: number }) => {
          seen = message.delivered ?? seen;
          if (seen >= count) finish();
        };
        const finish = (error?: Error) => {
          clearTimeout(timer);
          sink.off("message", onMessage);
          if (error === undefined) resolve();
          else reject(error);
        };
        sink.on("message", onMessage);
      }),
    async sinkReport() {
      sink.send({});
      return answer<SinkReport & Record<string, unknown>>(sink, "lagsMs");
    },
    async close() {
      for (const worker of Object.values(workers)) await ended(worker, "SIGTERM");
      await ended(sink, "SIGKILL");
      await ended(sqs, "SIGKILL");
      await sql.end();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function sibling(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The next message of a child that has the field `field`. */
function answer<Message extends object>(child: ChildProcess, field: keyof Message): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error(`${child.spawnfile} ended before it answered`));
    const onMessage = (message: unknown) => {
      if (!(typeof message === "object" && message !== null && field in message)) return;
      child.off("message", onMessage).off("exit", onExit);
      resolve(message as Message);
    };
    child.on("message", onMessage).once("exit", onExit);
  });
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await exit;
}
