import type { Clock } from "@downbeat/runtime/clock.ts";

/** Lets a loop sleep until its next tick or until somebody has work for it, whichever is first. A ring while nobody sleeps is remembered. */
export class WakeSignal {
  #isRung = false;
  #interrupt: AbortController | undefined;

  ring(): void {
    this.#isRung = true;
    this.#interrupt?.abort();
  }

  async sleep(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (!this.#isRung) {
      this.#interrupt = new AbortController();
      await clock.sleep(delayMs, AbortSignal.any([signal, this.#interrupt.signal]));
      this.#interrupt = undefined;
    }
    this.#isRung = false;
  }
}
