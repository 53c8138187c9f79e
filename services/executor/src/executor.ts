import type { QueueMessage } from "@downbeat/queue/receive-messages.ts";
import { decodeWakeUp } from "@downbeat/queue/wake-up.ts";
import { keepTrying, Outage, StoppedError } from "@downbeat/runtime/back-off.ts";
import { every } from "@downbeat/runtime/every.ts";
import { describeError } from "@downbeat/runtime/log.ts";
import { Slots } from "@downbeat/runtime/slots.ts";
import type { QueueClient } from "@downbeat/queue/client.ts";
import type { Caller } from "@downbeat/delivery/call.ts";
import type { KeyRing } from "@downbeat/delivery/seal.ts";
import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import { rejectMessages } from "@downbeat/store/reject-messages.ts";
import { returnLeases } from "@downbeat/store/return-leases.ts";
import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { isTransientDatabaseError } from "@downbeat/store/transient.ts";
import { type AttemptMetrics, carryRun, type CarryRunOptions } from "./carry-run.ts";
import type { ExecutorConfig } from "./config.ts";
import { DatabaseTime } from "./database-time.ts";
import { tellCanceled } from "./deliver.ts";
import { Endpoints } from "./endpoints.ts";
import { type LeaseMetrics, LeaseWaiting } from "./lease-waiting.ts";
import { MessageSettler } from "./message-settler.ts";
import { OpenMessages, type ReceivedRun } from "./open-messages.ts";
import { Outcomes } from "./outcomes.ts";
import { receiveLoop } from "./receive-loop.ts";

/** What an executor counts. */
export interface ExecutorCounters extends AttemptMetrics, LeaseMetrics {
  /** The queue answered a receive with so many messages; they may be none. */
  received(messages: number): void;
  /** A message was kept as evidence and will not be tried again. */
  rejected(): void;
}

/** What an executor holds at the moment. */
export interface ExecutorLoad {
  slots: number;
  slotsInUse: number;
  leased: number;
  waiting: number;
}

export interface ExecutorOptions {
  sql: Sql;
  queue: QueueClient;
  caller: Caller;
  keyRing: KeyRing;
  clock: Clock;
  random: Random;
  log: Log;
  config: ExecutorConfig;
  metrics: ExecutorCounters;
  /** One for each of the `RECEIVERS` loops. */
  progress: readonly LoopProgress[];
  /** Names this process in the ledger. */
  executor: string;
}

/** How long a poll that is open when the drain begins may still be answered. */
const openPollMs = 1_000;

/**
 * The life of a message: ④ received → ⑤ its runs leased → ⑥⑦ each held, called → ⑧ recorded → ⑨ deleted.
 *
 * Stages are joined by bounded memory, not by barriers: what waits without a lease (`PREFETCH_RUNS`), what is leased (twice `MAX_CONCURRENT_RUNS`), what is being called
 * (`MAX_CONCURRENT_RUNS`). A full stage stops the one before it, back to the receive.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #messages: OpenMessages;
  readonly #settler: MessageSettler;
  readonly #leaseWaiting: LeaseWaiting;
  readonly #outcomes: Outcomes;
  readonly #carryOptions: CarryRunOptions;
  readonly #carried = new Set<Promise<void>>();
  readonly #rejecting = new Outage();
  readonly #draining = new AbortController();
  readonly #abandoned = new AbortController();
  readonly #pollsBroken = new AbortController();
  #receiving: Promise<unknown> = Promise.resolve();
  /** Rejects when a loop failed for a reason that waiting cannot mend; otherwise resolves after `drain`. */
  readonly ended: Promise<void>;

  constructor(options: ExecutorOptions) {
    const { sql, clock, random, log, config, metrics, executor, keyRing } = options;
    this.#options = options;
    const shared = { sql, clock, random, log, metrics, executor };
    const databaseTime = new DatabaseTime(clock);
    const endpoints = new Endpoints({ sql, keyRing, log, clock });
    this.#settler = new MessageSettler({
      queue: options.queue,
      queueUrl: config.SQS_QUEUE_URL,
      clock,
      log,
      visibilitySeconds: config.VISIBILITY_SECONDS,
    });
    this.#messages = new OpenMessages((message) => this.#settler.settle(message));
    this.#outcomes = new Outcomes({ ...shared, delayMs: config.RECORD_DELAY_MS, signal: this.#abandoned.signal });
    this.#leaseWaiting = new LeaseWaiting({
      ...shared,
      endpoints,
      databaseTime,
      leaseMs: config.LEASE_MS,
      holdMsMax: config.HOLD_MS_MAX,
      leasedMax: 2 * config.MAX_CONCURRENT_RUNS,
      waitingMax: config.PREFETCH_RUNS,
      signal: this.#draining.signal,
      onLeased: (received, run, replaced) => this.#carry(received, run, replaced),
      onSettled: (received, settlement) => this.#messages.settle(received, settlement),
      onUnknown: (received) =>
        void this.#reject(received, `names run ${received.runId} of tenant ${received.tenantId}, which the ledger does not have`),
    });
    this.#carryOptions = {
      ...shared,
      endpoints,
      caller: options.caller,
      databaseTime,
      slots: new Slots(config.MAX_CONCURRENT_RUNS),
      outcomes: this.#outcomes,
      leaseMs: config.LEASE_MS,
      renewing: new Outage(),
      allowPrivateTargets: config.ALLOW_PRIVATE_TARGETS,
      draining: this.#draining.signal,
    };
    this.ended = Promise.race([this.#runLoops(), this.#leaseWaiting.failed]);
    this.ended.catch(() => {});
  }

  /** What is held at the moment. */
  get load(): ExecutorLoad {
    const slots = this.#options.config.MAX_CONCURRENT_RUNS;
    return {
      slots,
      slotsInUse: slots - this.#carryOptions.slots.free,
      leased: this.#leaseWaiting.leased,
      waiting: this.#leaseWaiting.waiting,
    };
  }

  /**
   * Stops taking work and lets go of it in the order that loses nothing: no more receives, waiting runs back to the queue, calls in flight finished and recorded, their messages
   * deleted (rule X11). After `DRAIN_SECONDS` what is still open is left to its lease.
   */
  async drain(): Promise<void> {
    const { clock, log, config } = this.#options;
    this.#draining.abort();
    for (const received of this.#leaseWaiting.stop()) this.#messages.settle(received, { isDone: false, againInSeconds: 0 });
    const timeUp = clock.sleep(config.DRAIN_SECONDS * 1_000, this.#abandoned.signal).then(() => "time up" as const);
    const polled = this.#finishPolls();
    const carried = this.#finishCarried().then(() => "finished" as const);
    if ((await Promise.race([carried, timeUp])) === "time up") {
      log.warn({ runs: this.#carried.size }, "drain ended before all calls did; their leases will run out");
    }
    this.#abandoned.abort();
    // What the last polls brought goes back before the process does.
    await polled;
    await this.#settler.drained();
  }

  /**
   * Under load a poll is answered at once, and what it brings is handed back; broken off, its messages would stay hidden for `VISIBILITY_SECONDS`, and their runs start that late. Of a poll that
   * is not answered in this time the queue is as good as empty.
   */
  async #finishPolls(): Promise<void> {
    const { clock } = this.#options;
    const answered = new AbortController();
    const receiving = this.#receiving.catch(() => {}).finally(() => answered.abort());
    await clock.sleep(openPollMs, answered.signal);
    this.#pollsBroken.abort();
    await receiving;
  }

  async #finishCarried(): Promise<void> {
    await this.#leaseWaiting.dealt();
    while (this.#carried.size > 0) await Promise.all(this.#carried);
    await this.#outcomes.drained();
  }

  async #runLoops(): Promise<void> {
    const { config, clock, log, progress } = this.#options;
    const outage = new Outage();
    const receivers = progress.map((own) =>
      receiveLoop({
        ...this.#options,
        queueUrl: config.SQS_QUEUE_URL,
        visibilitySeconds: config.VISIBILITY_SECONDS,
        waitSeconds: config.RECEIVE_WAIT_SECONDS,
        signal: this.#draining.signal,
        broken: this.#pollsBroken.signal,
        outage,
        progress: own,
        room: () => this.#leaseWaiting.room(),
        onMessages: (messages) => this.#open(messages),
      }),
    );
    this.#receiving = Promise.all(receivers);
    const keepHidden = every((config.VISIBILITY_SECONDS * 1_000) / 3, () => this.#keepHidden(), { clock, signal: this.#abandoned.signal });
    log.info({ slots: config.MAX_CONCURRENT_RUNS, executor: this.#options.executor }, "executor ready");
    await Promise.all([this.#receiving, keepHidden]);
  }

  async #keepHidden(): Promise<void> {
    await this.#settler.keepHidden(this.#messages.all);
  }

  #open(messages: readonly QueueMessage[]): void {
    this.#options.metrics.received(messages.length);
    for (const message of messages) {
      const decoded = decodeWakeUp(message.body);
      if (decoded.isReadable) this.#leaseWaiting.offer(this.#messages.open(message, decoded.refs));
      else for (const received of this.#messages.open(message, [{ tenantId: "", runId: "" }])) void this.#reject(received, decoded.reason);
    }
  }

  /** Keeps the evidence, then settles: a message that cannot be read or names nothing would come back for ever (rule X8). */
  async #reject(received: ReceivedRun, reason: string): Promise<void> {
    const { message, isRejected } = received.from;
    if (isRejected === true) {
      this.#messages.settle(received, { isDone: true });
      return;
    }
    received.from.isRejected = true;
    const { sql, clock, random, log, metrics } = this.#options;
    metrics.rejected();
    log.error({ message: message.messageId, reason }, "rejected a message");
    const rejected = [{ messageId: message.messageId, reason, body: message.body }];
    const trying = {
      clock,
      random,
      log,
      signal: this.#draining.signal,
      action: "keep a rejected message",
      outage: this.#rejecting,
      isTransient: isTransientDatabaseError,
      describe: describeSchemaBehind,
    };
    const isKept = await keepTrying(() => rejectMessages(sql, rejected), trying).then(
      () => true,
      () => false,
    );
    this.#messages.settle(received, isKept ? { isDone: true } : { isDone: false, againInSeconds: 0 });
  }

  #carry(received: ReceivedRun, run: LeasedRun, replaced: readonly string[]): void {
    const carried = this.#carryAndSettle(received, run, replaced).finally(() => {
      this.#carried.delete(carried);
      this.#leaseWaiting.release();
    });
    this.#carried.add(carried);
  }

  /** Never rejects: whatever goes wrong with one run is that run's affair. */
  async #carryAndSettle(received: ReceivedRun, run: LeasedRun, replaced: readonly string[]): Promise<void> {
    const { sql, log, config } = this.#options;
    try {
      for (const runId of replaced) {
        const code = await tellCanceled(run, runId, this.#carryOptions);
        log.info(
          { tenant: run.tenantId, schedule: run.scheduleId, run: runId, replacedBy: run.runId, code },
          "told the endpoint that a run is canceled",
        );
      }
      const carried = await carryRun(run, this.#carryOptions);
      if (carried === "uncalled") await returnLeases(sql, [run], config.LOST_AFTER_SECONDS * 1_000);
      this.#messages.settle(received, carried === "uncalled" ? { isDone: false, againInSeconds: 0 } : { isDone: true });
    } catch (error) {
      // The lease runs out and the sweep tries again; the message has done its work.
      if (!(error instanceof StoppedError)) log.error({ err: error, run: run.runId }, `cannot carry a run: ${describeError(error)}`);
      this.#messages.settle(received, { isDone: true });
    }
  }
}
