import { changeVisibility, deleteMessages } from "@downbeat/queue/message-batches.ts";
import type { QueueClient } from "@downbeat/queue/client.ts";
import { chunks } from "@downbeat/queue/pack-wake-ups.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { failpoint } from "@downbeat/runtime/failpoint.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { MicroBatch } from "@downbeat/runtime/micro-batch.ts";
import type { OpenMessage } from "./open-messages.ts";

export interface MessageSettlerOptions {
  queue: QueueClient;
  queueUrl: string;
  clock: Clock;
  log: Log;
  visibilitySeconds: number;
}

/** SQS takes ten entries a request. */
const entriesMax = 10;
/** How long a settled message waits for others: an idle system deletes at once enough, a busy one in full tens. */
const settleDelayMs = 50;
const warnEveryMs = 15_000;

/**
 * ⑨ Deletes settled messages in tens, and gives back those whose runs have to come again. Failures are logged and left: the message becomes visible again after its timeout, finds
 * its runs recorded, and is settled then.
 */
export class MessageSettler {
  readonly #options: MessageSettlerOptions;
  readonly #deletes: MicroBatch<OpenMessage>;
  readonly #returns: MicroBatch<OpenMessage>;
  readonly #warnedAtMs = new Map<string, number>();

  constructor(options: MessageSettlerOptions) {
    this.#options = options;
    const batching = { clock: options.clock, itemsMax: entriesMax, delayMs: settleDelayMs, flushesMax: 4 };
    this.#deletes = new MicroBatch({ ...batching, flush: (messages) => this.#delete(messages) });
    this.#returns = new MicroBatch({ ...batching, flush: (messages) => this.#giveBack(messages) });
  }

  settle(message: OpenMessage): void {
    void (message.comeBackSeconds === undefined ? this.#deletes : this.#returns).add(message);
  }

  async drained(): Promise<void> {
    await Promise.all([this.#deletes.drained(), this.#returns.drained()]);
  }

  /** Keeps messages hidden while their runs wait or are under way, also longer than the queue's timeout. */
  async keepHidden(messages: readonly OpenMessage[]): Promise<void> {
    const { visibilitySeconds } = this.#options;
    for (const batch of chunks(messages, entriesMax)) {
      // What was settled since may be visible to others again, and must not be hidden from them.
      const open = batch.filter((message) => message.open > 0);
      if (open.length > 0) await this.#change(open, () => visibilitySeconds, "keep messages hidden");
    }
  }

  async #delete(messages: readonly OpenMessage[]): Promise<void> {
    const { queue, queueUrl } = this.#options;
    await failpoint("executor.recorded-before-delete");
    try {
      await deleteMessages(
        queue,
        queueUrl,
        messages.map(({ message }) => message.receiptHandle),
      );
    } catch (error) {
      this.#warn("delete messages", error);
    }
  }

  #giveBack(messages: readonly OpenMessage[]): Promise<void> {
    return this.#change(messages, (message) => message.comeBackSeconds ?? 0, "give messages back");
  }

  async #change(messages: readonly OpenMessage[], secondsOf: (message: OpenMessage) => number, action: string): Promise<void> {
    const { queue, queueUrl } = this.#options;
    const changes = messages.map((message) => ({ receiptHandle: message.message.receiptHandle, visibilitySeconds: secondsOf(message) }));
    try {
      await changeVisibility(queue, queueUrl, changes);
    } catch (error) {
      this.#warn(action, error);
    }
  }

  /** During an outage every batch fails; one line now and then says so. */
  #warn(action: string, error: unknown): void {
    const { clock, log } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs - (this.#warnedAtMs.get(action) ?? Number.NEGATIVE_INFINITY) < warnEveryMs) return;
    this.#warnedAtMs.set(action, nowMs);
    log.warn({ err: error }, `cannot ${action}: ${describeError(error)}`);
  }
}
