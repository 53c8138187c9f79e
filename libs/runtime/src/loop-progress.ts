import type { Clock } from "./clock.ts";

/**
 * When a loop last showed that it runs, for a liveness probe. What counts is that it tried, not that it succeeded: a loop that waits out an outage of Postgres or of the queue is
 * alive, and restarting its process would only add start-up load to the outage (rule K4).
 */
export class LoopProgress {
  readonly #clock: Clock;
  #notedAtMs: number;
  #isResting = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#notedAtMs = clock.monotonic();
  }

  /** The loop begins a step, for the first or for the twentieth time, or has ended one. */
  note(): void {
    this.#notedAtMs = this.#clock.monotonic();
    this.#isResting = false;
  }

  /** The loop has nothing to do until somebody calls it; however long that takes, it is not stuck. */
  rest(): void {
    this.#isResting = true;
  }

  /** How long the loop has not been heard of, in ms. 0 while it rests. */
  silentMs(): number {
    return this.#isResting ? 0 : this.#clock.monotonic() - this.#notedAtMs;
  }
}
