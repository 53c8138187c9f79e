import { Counter, Histogram, type Registry } from "@prometheus-io/client";
import type { PassCounts, PassMetrics } from "./pass.ts";

/** A pass with nothing to do takes milliseconds; one that lasts longer than the 5 s between passes delays the next, and a minute is all that a Job has. */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * The dispatcher's numbers, of this process: for a Deployment. A Job that lives for a minute is gone before it is scraped; what the API tells of passes comes from the ledger and covers both.
 */
export class DispatcherMetrics implements PassMetrics {
  readonly #duration: Histogram;
  readonly #passes: Counter<"result">;
  readonly #runs: Counter<"result">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#duration = new Histogram({
      name: "downbeat_pass_duration_seconds",
      help: "How long passes took, also those that failed.",
      buckets: durationBounds,
      registers,
    });
    this.#passes = new Counter({
      name: "downbeat_passes_total",
      help: "Passes that have ended: `ok`, or `error` where Postgres or the queue failed them.",
      labelNames: ["result"],
      registers,
    });
    this.#runs = new Counter({
      name: "downbeat_pass_runs_total",
      help: "What passes did: runs `claimed`, occurrences `missed`, runs `sent` to the queue or not taken by it (`send_failed`), silent runs taken up again (`swept`).",
      labelNames: ["result"],
      registers,
    });
    // A rate needs a first value to rise from.
    for (const result of ["ok", "error"]) this.#passes.inc({ result }, 0);
    this.#countRuns({ claimed: 0, missed: 0, sent: 0, sendFailed: 0, swept: 0 });
  }

  passed(counts: PassCounts, durationMs: number, isOk: boolean): void {
    this.#duration.observe(durationMs / 1_000);
    this.#passes.inc({ result: isOk ? "ok" : "error" });
    this.#countRuns(counts);
  }

  #countRuns({ claimed, missed, sent, sendFailed, swept }: PassCounts): void {
    for (const [result, count] of Object.entries({ claimed, missed, sent, send_failed: sendFailed, swept }))
      this.#runs.inc({ result }, count);
  }
}
