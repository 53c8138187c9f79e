import type { QueueClient } from "@downbeat/queue/client.ts";
import { chunks, packWakeUps, type WakeUp } from "@downbeat/queue/pack-wake-ups.ts";
import { sendWakeUps } from "@downbeat/queue/send-wake-ups.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { failpoint } from "@downbeat/runtime/failpoint.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { Slots } from "@downbeat/runtime/slots.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { markQueued, type SentRun } from "@downbeat/store/mark-queued.ts";

/** A run to hand to the queue. */
export interface SendableRun extends SentRun {
  /** ms since 1970, by the database's clock. */
  dueAt: number;
}

export interface SenderOptions {
  sql: Sql;
  queue: QueueClient;
  queueUrl: string;
  clock: Clock;
  log: Log;
  runsPerMessage: number;
  sendsInFlight: number;
  lostAfterMs: number;
}

/** The queue is away, or did not take what it was given. */
export class SendError extends Error {
  override readonly name = "SendError";
}

/** When runs were read: the database's clock of their transaction (ms since 1970), and this process's just before it. */
export interface ReadAt {
  nowAt: number;
  askedAtMs: number;
}

/** Messages become visible this long (up to a second more) before their runs are due: time for an executor to receive, lease and hold them. */
const visibleAheadMs = 1_000;
/** The longest delay SQS knows. */
const delaySecondsMax = 900;
const messagesPerRequest = 10;

const unfairQueue =
  "the queue server does not support fair queues: messages are sent without their tenant, so a tenant with a large backlog can delay the others";

/**
 * ③ Hands runs to the queue while the next batch is being claimed: `send` starts, `settled` waits. At most `sendsInFlight` requests are open. The first request that fails
 * as a whole stops the sender: what it did not send stays `pending`, and the sweep of the next pass sends it (rule D7: a message sent twice does no harm).
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #batches: Promise<void>[] = [];
  readonly #slots: Slots;
  #failure: unknown;
  /** Runs the queue has accepted, and runs it has not. */
  readonly counts = { sent: 0, failed: 0 };

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#slots = new Slots(options.sendsInFlight);
  }

  /** True once a request has failed; nothing more is sent. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  send(runs: readonly SendableRun[], read: ReadAt): void {
    if (runs.length === 0) return;
    const batch = this.#sendBatch(runs, read);
    // `settled` tells what went wrong; until it is asked a failed mark must not count as a rejection nobody looks at, which ends the process.
    batch.catch(() => {});
    this.#batches.push(batch);
  }

  /** Resolves when everything started has been sent and marked. Rejects with the first failure. */
  async settled(): Promise<void> {
    const results = await Promise.allSettled(this.#batches);
    const rejected = results.find((result) => result.status === "rejected");
    if (this.#failure !== undefined) throw this.#failure;
    if (rejected !== undefined) throw rejected.reason;
  }

  async #sendBatch(runs: readonly SendableRun[], { nowAt, askedAtMs }: ReadAt): Promise<void> {
    const { sql, runsPerMessage, lostAfterMs } = this.#options;
    const wakeUps = packWakeUps(
      runs.map((run) => ({ ...run, delaySeconds: delaySecondsUntil(run.dueAt, nowAt) })),
      runsPerMessage,
    );
    const takenIds = new Set<string>();
    await Promise.all(
      chunks(wakeUps, messagesPerRequest).map(async (request) => {
        for (const { refs } of await this.#sendRequest(request, askedAtMs)) for (const { runId } of refs) takenIds.add(runId);
      }),
    );
    const accepted = runs.filter(({ runId }) => takenIds.has(runId));
    this.counts.sent += accepted.length;
    this.counts.failed += runs.length - accepted.length;
    if (accepted.length === 0) return;
    await failpoint("dispatcher.sent-before-mark");
    await markQueued(sql, accepted, lostAfterMs);
  }

  /** The messages that the queue accepted; none when it is away. */
  async #sendRequest(wakeUps: readonly WakeUp[], askedAtMs: number): Promise<readonly WakeUp[]> {
    const { queue, queueUrl, clock, log } = this.#options;
    await this.#slots.take();
    try {
      if (this.#failure !== undefined) return [];
      // Delays count from when the runs were read. What the claim, packing and waiting for a turn took is taken off, or a slow queue would make runs late.
      const waitedSeconds = Math.round((clock.monotonic() - askedAtMs) / 1_000);
      const timed = wakeUps.map((wakeUp) => ({ ...wakeUp, delaySeconds: Math.max(0, wakeUp.delaySeconds - waitedSeconds) }));
      const result = await sendWakeUps(queue, queueUrl, timed);
      if (result.isGroupRefusalNew) log.warn({ queueUrl }, unfairQueue);
      await failpoint("dispatcher.message-batch-sent");
      // Refused entries are as unsent as failed ones: the ledger keeps them pending and the pass reports them, rather than giving up a tenant's run over an
      // answer of the queue that a person has to read first.
      if (result.refused.length > 0) this.#failure ??= new SendError(`the queue refused ${result.refused.length} messages as malformed`);
      return result.accepted;
    } catch (error) {
      this.#failure ??= new SendError(describeError(error), { cause: error });
      return [];
    } finally {
      this.#slots.release();
    }
  }
}

/** SQS delays whole seconds; rounding down means early, never late, and the executor holds the rest. */
export function delaySecondsUntil(dueAt: number, nowAt: number): number {
  return Math.min(delaySecondsMax, Math.max(0, Math.floor((dueAt - nowAt - visibleAheadMs) / 1000)));
}
