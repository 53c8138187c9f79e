/**
 * Time and randomness are parameters everywhere in Downbeat; the real ones live here and in `random.ts`, the manual ones in
 * `@downbeat/testkit`. Decisions about *due*, *lease* and *retry* never read this clock: they are made by the database
 * (rule D4). This clock only paces loops and measures durations.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds on a clock that never steps; only differences have meaning. */
  monotonic(): number;
  /** Resolves after `delayMs`, never before, or, at once and without error, when `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The longest delay a Node timer takes; a longer one would fire at once. */
const timerDelayMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const endMs = performance.now() + delayMs;
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const startTimer = (leftMs: number) => setTimeout(sleepOn, Math.min(Math.max(0, Math.ceil(leftMs)), timerDelayMsMax));
      // Node cuts a delay to whole milliseconds and may fire early on top of it. A loop that woke before its target time would find it still ahead and tick twice.
      const sleepOn = () => {
        const leftMs = endMs - performance.now();
        if (leftMs <= 0) finish();
        else timer = startTimer(leftMs);
      };
      let timer = startTimer(delayMs);
      signal?.addEventListener("abort", finish, { once: true });
    }),
};
