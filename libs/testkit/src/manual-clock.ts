import type { Clock } from "@downbeat/runtime/clock.ts";

/** A clock that moves only when a test says so. `sleep` resolves as the clock passes its end. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  #sleepers: { untilMs: number; wake: () => void }[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || delayMs <= 0) return resolve();
      const sleeper = { untilMs: this.#nowMs + delayMs, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", () => this.#wake([sleeper]), { once: true });
    });
  }

  /** How many sleeps are waiting: lets a test see that the code under test has come to rest. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves on by `ms` and wakes, in order, every sleep that ends by then. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#sleepers.filter((sleeper) => sleeper.untilMs <= this.#nowMs).sort((a, b) => a.untilMs - b.untilMs);
    this.#wake(due);
  }

  #wake(due: readonly { wake: () => void }[]): void {
    this.#sleepers = this.#sleepers.filter((sleeper) => !due.includes(sleeper));
    for (const sleeper of due) sleeper.wake();
  }
}
