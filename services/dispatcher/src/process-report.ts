import type { Clock } from "@downbeat/runtime/clock.ts";
import type { Log } from "@downbeat/runtime/log.ts";

export interface ProcessReport {
  /** Writes its line the first time it is called. */
  claimed(): void;
  ended(): void;
}

/**
 * What starting a dispatcher costs. A Job that lives for a minute cannot be scraped, and its start is paid every minute, so the process itself says when it had claimed for the first
 * time (`sinceStartMs`, from the start of Node on) and, at its end, how much memory it took at most (`peakRssMiB`).
 */
export function createProcessReport({ clock, log }: { clock: Clock; log: Log }): ProcessReport {
  let hasClaimed = false;
  // The clock of a process counts from its start.
  const sinceStartMs = () => Math.round(clock.monotonic());
  return {
    claimed() {
      if (hasClaimed) return;
      hasClaimed = true;
      log.info({ sinceStartMs: sinceStartMs() }, "first claim");
    },
    ended() {
      // Node gives it in KiB, on every system.
      log.info({ sinceStartMs: sinceStartMs(), peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024) }, "ended");
    },
  };
}
