import type { Clock } from "@downbeat/runtime/clock.ts";

/**
 * The database's clock as seen from here (rule D4: this machine's own clock decides nothing). Each answer that carries the database's time is a sample; the one with the
 * shortest round trip is the most exact, and samples older than a minute are forgotten so that a drifting clock is followed.
 */
export class DatabaseTime {
  readonly #clock: Clock;
  #sample: { offsetMs: number; roundTripMs: number; takenAtMonotonic: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `databaseNow` (ms since 1970) was read between the two monotonic instants; the statement ends just before the answer travels back. */
  learn(databaseNow: number, askedAtMonotonic: number, answeredAtMonotonic: number): void {
    if (!Number.isFinite(databaseNow)) return;
    const roundTripMs = answeredAtMonotonic - askedAtMonotonic;
    const isStale = this.#sample === undefined || answeredAtMonotonic - this.#sample.takenAtMonotonic > 60_000;
    if (!isStale && this.#sample !== undefined && this.#sample.roundTripMs < roundTripMs) return;
    this.#sample = { offsetMs: databaseNow - answeredAtMonotonic, roundTripMs, takenAtMonotonic: answeredAtMonotonic };
  }

  /** Milliseconds since 1970. Before the first sample, this machine's own clock. */
  now(): number {
    return this.#sample === undefined ? this.#clock.now() : this.#clock.monotonic() + this.#sample.offsetMs;
  }
}
