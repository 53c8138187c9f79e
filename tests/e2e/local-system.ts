import { hostname } from "node:os";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { every } from "@downbeat/runtime/every.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { type ServiceProcess, startServiceProcess } from "@downbeat/testkit/service-process.ts";
import { mainOf, runCli, startReceiverProcess } from "./local-processes.ts";
import { ReceiverLog } from "./receiver-log.ts";
import { createRestClient } from "./rest-client.ts";
import type { System } from "./system.ts";

/** The minute of the CronJob, shortened so that a test sees several. As there, a dispatcher ends before the next one starts and looks further ahead than one of these. */
const minuteMs = 4_000;
const dispatcherSettings = { DISPATCH_FOR_SECONDS: "3", HORIZON_SECONDS: "6", PASS_INTERVAL_MS: "500", PUBLISH_TIMEOUT_MS: "500" };

/** Short leases, so that a killed executor's runs are called again soon. The long poll is short because the queue server would hand the next message to a killed client's. */
const executorSettings = { LEASE_MS: "5000", VISIBILITY_SECONDS: "2", RECEIVE_WAIT_SECONDS: "1" };

/** The installation as processes on this machine, on a database of its own that is dropped by whoever made it. */
export async function startLocalSystem(database: { url: string; admin: Sql }): Promise<System> {
  const closers: (() => Promise<unknown>)[] = [];
  const sqs = await startSqs({ port: 0 });
  closers.push(() => sqs.stop());
  const queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 4 });
  closers.push(async () => queue.destroy());
  const { queueUrl } = await createQueues(queue, "downbeat-runs", 2);
  const receiver = await startReceiverProcess();
  closers.push(() => receiver.close());

  const environment = {
    DATABASE_URL: database.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: testSecretKeys,
    ALLOW_PRIVATE_TARGETS: "true",
    LEASE_GRACE_SECONDS: "0",
    AUDIT_EVERY_SECONDS: "0",
    API_PORT: "0",
  };
  const start = (role: "api" | "dispatcher" | "executor", settings: Readonly<Record<string, string>> = {}) => {
    const process = startServiceProcess({ name: role, main: mainOf(role), environment: { ...environment, ...settings } });
    closers.push(() => process.kill());
    return process;
  };

  const api = start("api");
  const listening = await api.logged("it listened", ({ msg }) => msg === "listening");
  const { key } = await runCli<{ key: string }>(["keys", "create", "--scope", "admin"], environment);
  const executors = new LocalExecutors(() => start("executor", executorSettings));
  await executors.scale(2);
  const dispatchers = new LocalCronJob(() => start("dispatcher", dispatcherSettings));
  closers.push(() => dispatchers.end());

  return {
    rest: createRestClient({ url: String(listening["url"]), key }),
    sql: database.admin,
    queue,
    queueUrl,
    receiver: new ReceiverLog(receiver.url, receiver.url),
    settleMsMax: 30_000,
    horizonMs: Number(dispatcherSettings.HORIZON_SECONDS) * 1_000,
    executors: async () => executors.names,
    killExecutor: (name) => executors.kill(name),
    restartExecutors: () => executors.restart(),
    scaleExecutors: (count) => executors.scale(count),
    autoscaler: async () => null,
    isOwnDispatcher: (dispatcher) => dispatchers.started.some((name) => dispatcher.startsWith(`${name}-`)),
    killDispatcher: (how) => dispatchers.kill(how),
    suspendDispatcher: async () => dispatchers.suspend(true),
    resumeDispatcher: async () => dispatchers.suspend(false),
    migrate: async () => (await runCli<{ applied: string[] }>(["migrate"], environment)).applied,
    onClose: (step) => void closers.push(step),
    async close() {
      for (const close of closers.reverse()) await close();
    },
  };
}

/** How a process names itself in the ledger, before what tells it apart from one with the same pid. */
function nameOf({ pid }: ServiceProcess): string {
  return `${hostname()}-${pid}`;
}

/** What the Deployment is on a cluster: keeps up a number of executors. */
class LocalExecutors {
  readonly #start: () => ServiceProcess;
  #running: ServiceProcess[] = [];

  constructor(start: () => ServiceProcess) {
    this.#start = start;
  }

  get names(): string[] {
    return this.#running.map(nameOf);
  }

  async scale(count: number): Promise<void> {
    await Promise.all(this.#running.splice(count).map((process) => drain(process)));
    await this.#fill(count);
  }

  async kill(name: string): Promise<void> {
    const count = this.#running.length;
    const killed = this.#running.filter((process) => nameOf(process) === name);
    this.#running = this.#running.filter((process) => !killed.includes(process));
    await Promise.all(killed.map((process) => process.kill()));
    await this.#fill(count);
  }

  async restart(): Promise<void> {
    for (const old of this.#running.slice()) {
      await this.#fill(this.#running.length + 1);
      this.#running = this.#running.filter((process) => process !== old);
      await drain(old);
    }
  }

  async #fill(count: number): Promise<void> {
    const started = Array.from({ length: count - this.#running.length }, this.#start);
    await Promise.all(started.map((process) => process.logged("it was ready", ({ msg }) => msg === "executor ready")));
    this.#running.push(...started);
  }
}

/** As Kubernetes ends a pod. An executor that cannot end in good order has failed. */
async function drain(process: ServiceProcess): Promise<void> {
  process.signal("SIGTERM");
  const { code, signal } = await process.exited;
  if (code !== 0)
    throw new Error(`${process.name} ended with ${signal ?? code} when told to stop:\n${process.output.slice(-10).join("\n")}`);
}

/** What the CronJob is on a cluster: a new dispatcher each minute, and none while the last one runs (`concurrencyPolicy: Forbid`). */
class LocalCronJob {
  readonly started: string[] = [];
  readonly #ending = new AbortController();
  readonly #ticks: Promise<void>;
  #running: ServiceProcess | undefined;
  #isSuspended = false;

  constructor(start: () => ServiceProcess) {
    const tick = async () => {
      if (this.#isSuspended || this.#running?.isAlive === true) return;
      this.#running = start();
      this.started.push(nameOf(this.#running));
    };
    this.#ticks = every(minuteMs, tick, { clock: systemClock, signal: this.#ending.signal });
  }

  suspend(isSuspended: boolean): void {
    this.#isSuspended = isSuspended;
  }

  async kill(how: "crash" | "delete"): Promise<string | null> {
    const running = this.#running;
    if (running?.isAlive !== true) return null;
    running.signal(how === "crash" ? "SIGKILL" : "SIGTERM");
    await running.exited;
    return nameOf(running);
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#ticks;
  }
}
