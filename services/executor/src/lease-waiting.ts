import { keepTrying, StoppedError } from "@downbeat/runtime/back-off.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { MicroBatch } from "@downbeat/runtime/micro-batch.ts";
import type { Random } from "@downbeat/runtime/random.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { type LeaseAnswer, type LeasedRun, leaseRuns } from "@downbeat/store/lease-runs.ts";
import { instantOfRunId } from "@downbeat/store/run-id.ts";
import type { RunKey } from "@downbeat/store/run-key.ts";
import { settleHeld } from "@downbeat/store/settle-held.ts";
import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { isTransientDatabaseError, retryLostRace } from "@downbeat/store/transient.ts";
import { wakeWaiting } from "@downbeat/store/wake-waiting.ts";
import type { DatabaseTime } from "./database-time.ts";
import type { Endpoints } from "./endpoints.ts";
import type { ReceivedRun, Settlement } from "./open-messages.ts";

/** What is counted of received runs. */
export interface LeaseMetrics {
  /** A received run turned out to be over, withdrawn, or leased already (rule X1). */
  suppressed(): void;
}

export interface LeaseWaitingOptions {
  sql: Sql;
  endpoints: Endpoints;
  databaseTime: DatabaseTime;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: LeaseMetrics;
  executor: string;
  leaseMs: number;
  holdMsMax: number;
  /** Most runs under lease in this process: those being called, and as many that are ready for the next free slot. */
  leasedMax: number;
  /** Runs that may wait without a lease; beyond that nothing more is received. */
  waitingMax: number;
  signal: AbortSignal;
  /** `replaced`: the runs that were canceled so that this one may start. */
  onLeased: (received: ReceivedRun, run: LeasedRun, replaced: readonly string[]) => void;
  onSettled: (received: ReceivedRun, settlement: Settlement) => void;
  /** The ledger has no such run of this tenant; to be settled by whoever is told. */
  onUnknown: (received: ReceivedRun) => void;
}

/**
 * A run is leased this long before its instant: time for the round trip, and no more, because what is leased can no longer be taken back by a pause or an edit.
 */
const leaseAheadMs = 250;
/** Runs decided about in one transaction, which holds their schedules' gates meanwhile. */
const heldBatchMax = 100;
/** Come back this long before the run is due: a message handed back is visible again only on a whole second. */
const comeBackAheadMs = 2_000;

/**
 * ④⑤ Received runs wait here, without a lease, until there is room to hold them; then as many as fit are leased in one statement. Leasing a little ahead of the free
 * slots keeps the slots busy; leasing everything received would let one executor hoard what others could run.
 */
export class LeaseWaiting {
  readonly #options: LeaseWaitingOptions;
  #waiting: ReceivedRun[] = [];
  /** Runs whose instant is not near yet. */
  #early = 0;
  #leased = 0;
  /** Runs that are due while another of their schedule is under way. Decided about beside the leasing, so that nobody else's lease waits for it. */
  readonly #held: MicroBatch<ReceivedRun>;
  #heldCount = 0;
  /** By run, until it is leased: the runs it replaces. */
  readonly #replaced = new Map<string, readonly string[]>();
  #leasing: Promise<void> | undefined;
  #whenRoom: (() => void)[] = [];
  #failed: (error: unknown) => void = () => {};
  /** Rejects when leasing failed for a reason that waiting cannot mend. */
  readonly failed: Promise<never>;

  constructor(options: LeaseWaitingOptions) {
    this.#options = options;
    this.#held = new MicroBatch({
      clock: options.clock,
      itemsMax: heldBatchMax,
      delayMs: 0,
      flushesMax: 1,
      flush: (held) => this.#settleHeld(held),
    });
    this.failed = new Promise((_, reject) => {
      this.#failed = reject;
    });
    this.failed.catch(() => {});
  }

  /** Runs under lease in this process, and those whose lease is being asked for. */
  get leased(): number {
    return this.#leased;
  }

  /** Received runs without a lease: waiting for room, for their instant, or for the run before them. */
  get waiting(): number {
    return this.#early + this.#waiting.length + this.#heldCount;
  }

  /** Takes the runs of a message. They are leased when they are near their instant and there is room. */
  offer(received: readonly ReceivedRun[]): void {
    for (const [untilNearMs, runs] of this.#byNearness(received)) this.#admitAfter(untilNearMs, runs);
  }

  /** Resolves when another receive may start. */
  async room(): Promise<void> {
    if (this.#hasRoom() || this.#options.signal.aborted) return;
    await new Promise<void>((resolve) => this.#whenRoom.push(resolve));
  }

  /** A leased run has left this process. */
  release(): void {
    this.#leased -= 1;
    this.#leaseMore();
  }

  /** Stops leasing and answers what was still waiting. */
  stop(): ReceivedRun[] {
    for (const resolve of this.#whenRoom.splice(0)) resolve();
    return this.#waiting.splice(0);
  }

  /** Resolves when the lease that was under way, if any, is had and dealt out, and what it found held is decided about. */
  async dealt(): Promise<void> {
    await this.#leasing;
    await this.#held.drained();
  }

  #admitAfter(delayMs: number, runs: readonly ReceivedRun[]): void {
    if (delayMs <= 0) return this.#admit(runs);
    const { clock, signal } = this.#options;
    this.#early += runs.length;
    void clock.sleep(delayMs, signal).then(() => {
      this.#early -= runs.length;
      this.#admit(runs);
    });
  }

  #admit(received: readonly ReceivedRun[]): void {
    const { signal, onSettled } = this.#options;
    if (signal.aborted) {
      for (const run of received) onSettled(run, { isDone: false, againInSeconds: 0 });
      return;
    }
    this.#waiting.push(...received);
    this.#leaseMore();
  }

  #hasRoom(): boolean {
    return this.waiting <= this.#options.waitingMax;
  }

  #tellRoom(): void {
    if (this.#hasRoom()) for (const resolve of this.#whenRoom.splice(0)) resolve();
  }

  /**
   * Runs by how long it is until they are near. The id of a run says when it is due; a retry's instant is later than that, so it is looked up at once, as is a run whose
   * instant is far off: the ledger says when its message should come back.
   */
  #byNearness(received: readonly ReceivedRun[]): Map<number, ReceivedRun[]> {
    const { databaseTime, holdMsMax } = this.#options;
    const nowAt = databaseTime.now();
    const groups = new Map<number, ReceivedRun[]>();
    for (const run of received) {
      const leftMs = instantOfRunId(run.runId) - nowAt - leaseAheadMs;
      const untilNearMs = leftMs > holdMsMax ? 0 : Math.max(0, leftMs);
      const group = groups.get(untilNearMs);
      if (group === undefined) groups.set(untilNearMs, [run]);
      else group.push(run);
    }
    return groups;
  }

  #leaseMore(): void {
    const { leasedMax, signal } = this.#options;
    const room = leasedMax - this.#leased;
    // Waits until a fair share of the room is free, so that a stream of short runs is leased in batches and not one by one.
    const isWorthwhile = room >= Math.min(this.#waiting.length, Math.ceil(leasedMax / 4));
    if (this.#leasing !== undefined || signal.aborted || this.#waiting.length === 0 || !isWorthwhile) return;
    const batch = this.#waiting.splice(0, room);
    this.#tellRoom();
    this.#leased += batch.length;
    this.#leasing = this.#lease(batch)
      .catch((error: unknown) => {
        this.#leased -= batch.length;
        for (const received of batch) this.#options.onSettled(received, { isDone: false, againInSeconds: 0 });
        if (!(error instanceof StoppedError)) this.#failed(error);
      })
      .finally(() => {
        this.#leasing = undefined;
        this.#leaseMore();
      });
  }

  async #lease(batch: readonly ReceivedRun[]): Promise<void> {
    const { sql, endpoints, databaseTime, clock, random, log, executor, leaseMs, holdMsMax, signal } = this.#options;
    const trying = { clock, random, log, signal, isTransient: isTransientDatabaseError, describe: describeSchemaBehind };
    const result = await keepTrying(
      async () => {
        const askedAt = clock.monotonic();
        const answer = await retryLostRace(() => leaseRuns(sql, { keys: batch, executor, leaseMs, holdMsMax }));
        databaseTime.learn(answer.nowAt, askedAt, clock.monotonic());
        return answer;
      },
      { ...trying, action: "lease runs" },
    );
    const leased = result.answers.flatMap((answer) => (answer.verdict === "leased" ? [answer.run] : []));
    await keepTrying(
      () => endpoints.load(leased.map((run) => ({ tenantId: run.tenantId, endpointId: run.endpointId, revision: run.endpointRevision }))),
      { ...trying, action: "load endpoints" },
    ).catch((error: unknown) => {
      // Draining: nothing will be called any more, but what has just been leased has to be dealt out to be given back.
      if (!(error instanceof StoppedError)) throw error;
    });
    const answers = new Map(result.answers.map((answer) => [answer.verdict === "leased" ? answer.run.runId : answer.key.runId, answer]));
    for (const received of batch) {
      const answer = answers.get(received.runId);
      if (answer?.verdict === "held") this.#hold(received, answer.dueAt - result.nowAt);
      else this.#deal(received, answer, result.nowAt, answers);
    }
    const ended = result.answers.flatMap((answer) => (hasEndedIt(answer) ? [answer.key] : []));
    if (ended.length > 0) await this.#wakeWaiting(ended);
  }

  /**
   * Another run of its schedule is under way. What that means is decided at the run's instant and not before: in the quarter of a second until then the other may end.
   */
  #hold(received: ReceivedRun, untilDueMs: number): void {
    this.#leased -= 1;
    if (untilDueMs > 0) return this.#admitAfter(untilDueMs, [received]);
    this.#heldCount += 1;
    void this.#held.add(received);
  }

  /** Never rejects. */
  async #settleHeld(held: readonly ReceivedRun[]): Promise<void> {
    const { sql, clock, random, log, executor, signal, onSettled } = this.#options;
    const trying = {
      clock,
      random,
      log,
      signal,
      isTransient: isTransientDatabaseError,
      describe: describeSchemaBehind,
      action: "settle overlapping runs",
    };
    const answers = await keepTrying(() => settleHeld(sql, held, executor), trying).catch((error: unknown) => {
      if (!(error instanceof StoppedError)) this.#failed(error);
    });
    this.#heldCount -= held.length;
    for (const [index, received] of held.entries()) {
      const answer = answers?.[index];
      if (answer?.verdict === "admitted") {
        if (answer.replaced.length > 0) this.#replaced.set(received.runId, answer.replaced);
        this.#admit([received]);
      } else onSettled(received, answer === undefined ? { isDone: false, againInSeconds: 0 } : { isDone: true });
    }
    this.#tellRoom();
    const settled = answers?.flatMap((answer) => (answer.verdict === "settled" ? [answer.key] : [])) ?? [];
    if (settled.length > 0) await this.#wakeWaiting(settled);
  }

  /** Runs that wait have their turn when the one before them ends, however it ends. Should this fail, their own look finds it. */
  async #wakeWaiting(ended: readonly RunKey[]): Promise<void> {
    const { sql, log } = this.#options;
    await retryLostRace(() => wakeWaiting(sql, ended)).catch((error: unknown) => {
      log.warn({ err: error }, `cannot wake waiting runs: ${describeError(error)}`);
    });
  }

  /** Sends each run its way. A run that two messages of one batch name is leased once; the second is done with. */
  #deal(received: ReceivedRun, answer: LeaseAnswer | undefined, nowAt: number, answers: Map<string, LeaseAnswer>): void {
    const { metrics, onLeased, onSettled, onUnknown } = this.#options;
    answers.delete(received.runId);
    const replaced = this.#replaced.get(received.runId) ?? [];
    this.#replaced.delete(received.runId);
    if (answer?.verdict === "leased") {
      onLeased(received, answer.run, replaced);
      return;
    }
    this.#leased -= 1;
    if (answer?.verdict === "early") {
      const againInSeconds = Math.max(1, Math.floor((answer.dueAt - nowAt - comeBackAheadMs) / 1_000));
      // SQS hides a message for at most 12 hours; if the run is later still, the next look hides it again.
      onSettled(received, { isDone: false, againInSeconds: Math.min(againInSeconds, 11 * 3_600) });
    } else if (answer?.verdict === "unknown") {
      onUnknown(received);
    } else {
      if (answer === undefined || answer.verdict === "gone") metrics.suppressed();
      onSettled(received, { isDone: true });
    }
  }
}

function hasEndedIt(answer: LeaseAnswer): answer is LeaseAnswer & { verdict: "canceled" | "missed" | "skipped" } {
  return answer.verdict === "canceled" || answer.verdict === "missed" || answer.verdict === "skipped";
}
