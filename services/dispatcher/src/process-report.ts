import type { Clock } from "@downbeat/runtime/clock.ts";
import type { Log } from "@downbeat/runtime/log.ts";

export interface ProcessReport {
  /** Writes its line the first time it is called. */
  claimed(): void;
  ended(): void;
}

/**
 * What starting a dispatcher costs. A Job that lives for a minute cannot be scraped, and its start is paid every minute, so the process itself says when it had claimed for the first
 * time (`sinceStartMs`, from the start of Node on), how much of that was work (`cpuMs`; the rest is waiting, for Postgres or for a share of the CPU), and at its end how much memory it
 * took at most (`peakRssMiB`).
 */
export function createProcessReport({ clock, log }: { clock: Clock; log: Log }): ProcessReport {
  let hasClaimed = false;
  // The clock of a process counts from its start.
  const sinceStartMs = () => Math.round(clock.monotonic());
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return Math.round((user + system) / 1_000);
  };
  return {
    claimed() {
      if (hasClaimed) return;
      hasClaimed = true;
      log.info({ sinceStartMs: sinceStartMs(), cpuMs: cpuMs() }, "first claim");
    },
    ended() {
      // Node gives it in KiB, on every system.
      log.info({ sinceStartMs: sinceStartMs(), cpuMs: cpuMs(), peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024) }, "ended");
    },
  };
}
