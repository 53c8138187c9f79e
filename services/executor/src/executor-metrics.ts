import type { Clock } from "@downbeat/runtime/clock.ts";
import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";
import type { Delivered } from "./deliver.ts";
import type { ExecutorCounters, ExecutorLoad } from "./executor.ts";

export interface ExecutorMetricsOptions {
  registry: Registry;
  clock: Clock;
  /** `METRICS_TENANT_LABEL`: attempts and lag by tenant, too. */
  isByTenant: boolean;
}

/**
 * From 5 ms to a minute: runs start within milliseconds of their instant when all is well and within a second (p99) by promise, so that half of the bounds lie below a quarter of a second and one is exactly the
 * promise; a minute is what a CronJob without a living dispatcher costs.
 */
const lagBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Up to the longest call, 30 s. */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30];

/** What one attempt adds to. Kept by labels, so that an attempt costs a look-up and three additions. */
interface AttemptSeries {
  attempts: { inc(): void };
  lag: { observe(seconds: number): void };
  duration: { observe(seconds: number): void };
}

/**
 * The executor's numbers. Counted where things happen, read when somebody asks. Labels have few values: outcomes, codes and states, none of which a tenant can make up; statuses are three digits.
 */
export class ExecutorMetrics implements ExecutorCounters {
  readonly #clock: Clock;
  readonly #isByTenant: boolean;
  readonly #registry: Registry;
  readonly #series = new Map<string, AttemptSeries>();
  readonly #attempts: Counter<"outcome" | "code" | "state" | "tenant">;
  readonly #lag: Histogram<"tenant">;
  readonly #duration: Histogram<"outcome">;
  readonly #fenced: Counter;
  readonly #suppressed: Counter;
  readonly #received: Counter;
  readonly #rejected: Counter;
  #receivedAtMs: number;

  constructor({ registry, clock, isByTenant }: ExecutorMetricsOptions) {
    this.#registry = registry;
    this.#clock = clock;
    this.#isByTenant = isByTenant;
    this.#receivedAtMs = clock.monotonic();
    const registers = [registry];
    const tenant = isByTenant ? (["tenant"] as const) : [];
    this.#attempts = new Counter({
      name: "downbeat_attempts_total",
      help: "Attempts that have ended, by their outcome and code as the log has them, and by what became of the run: `succeeded`, `retrying`, `failed`, or `fenced` when another executor holds it.",
      labelNames: ["outcome", "code", "state", ...tenant],
      registers,
    });
    this.#lag = new Histogram({
      name: "downbeat_start_lag_seconds",
      help: "Time from the instant a run was due, for the first time or for a retry, to the start of its call, by the database's clock.",
      buckets: lagBounds,
      labelNames: tenant,
      registers,
    });
    this.#duration = new Histogram({
      name: "downbeat_delivery_duration_seconds",
      help: "How long calls took that reached their target.",
      buckets: durationBounds,
      labelNames: ["outcome"],
      registers,
    });
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#fenced = counter(
      "downbeat_fenced_writes_total",
      "Outcomes and renewals that came too late and were refused, because another executor holds the run.",
    );
    this.#suppressed = counter(
      "downbeat_duplicates_suppressed_total",
      "Runs named by a message that were already over, withdrawn or under lease, and so were not called for it.",
    );
    this.#received = counter("downbeat_messages_received_total", "Messages received from the queue.");
    this.#rejected = counter(
      "downbeat_messages_rejected_total",
      "Messages kept as evidence because they cannot be read or name an unknown run.",
    );
    this.#gauge("downbeat_last_receive_age_seconds", "Time since the queue last answered a receive, also with nothing.", () =>
      Math.max(0, (clock.monotonic() - this.#receivedAtMs) / 1_000),
    );
  }

  /** Reads the load at each scrape. */
  watch(load: () => ExecutorLoad): void {
    this.#gauge("downbeat_slots", "Calls this process may have open at once (MAX_CONCURRENT_RUNS).", () => load().slots);
    this.#gauge("downbeat_slots_in_use", "Slots taken by calls.", () => load().slotsInUse);
    this.#gauge(
      "downbeat_runs_leased",
      "Runs under lease in this process: being called, held for their instant, or next for a slot.",
      () => load().leased,
    );
    this.#gauge("downbeat_runs_waiting", "Received runs that wait in this process without a lease.", () => load().waiting);
  }

  received(messages: number): void {
    this.#receivedAtMs = this.#clock.monotonic();
    this.#received.inc(messages);
  }

  rejected(): void {
    this.#rejected.inc();
  }

  suppressed(): void {
    this.#suppressed.inc();
  }

  fenced(): void {
    this.#fenced.inc();
  }

  attempted({ tenantId, dueAt }: LeasedRun, { record, internalCode }: Delivered, isRecorded: boolean): void {
    const state = isRecorded ? record.next.state : "fenced";
    const { attempts, lag, duration } = this.#seriesOf(record.outcome, internalCode, state, this.#isByTenant ? tenantId : "");
    attempts.inc();
    lag.observe(Math.max(0, record.startedAt - dueAt) / 1_000);
    // Calls that never came about are recorded as 0 ms.
    if (record.durationMs > 0) duration.observe(record.durationMs / 1_000);
  }

  #seriesOf(outcome: string, code: string, state: string, tenant: string): AttemptSeries {
    const key = `${outcome} ${code} ${state} ${tenant}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      const byTenant: { tenant?: string } = this.#isByTenant ? { tenant } : {};
      series = {
        attempts: this.#attempts.labels({ outcome, code, state, ...byTenant }),
        lag: this.#lag.labels(byTenant),
        duration: this.#duration.labels({ outcome }),
      };
      this.#series.set(key, series);
    }
    return series;
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => gauge.set(read()) });
  }
}
