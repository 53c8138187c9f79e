import type { Clock } from "./clock.ts";

/**
 * Calls `tick` at `startMs + k · intervalMs` on the monotonic clock until `signal` aborts. The target times are anchored to the
 * start, so that ticks do not drift by the time a tick takes; ticks that fell due while one was running are dropped, not made up in a
 * burst. The first tick is immediate. A tick that throws ends the loop with its error: a loop that must survive catches inside.
 */
export async function every(intervalMs: number, tick: () => Promise<void>, options: { clock: Clock; signal: AbortSignal }): Promise<void> {
  const { clock, signal } = options;
  const startMs = clock.monotonic();
  while (!signal.aborted) {
    await tick();
    const elapsedMs = clock.monotonic() - startMs;
    const nextMs = (Math.floor(elapsedMs / intervalMs) + 1) * intervalMs;
    await clock.sleep(nextMs - elapsedMs, signal);
  }
}
