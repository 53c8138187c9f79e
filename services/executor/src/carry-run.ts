import { keepTrying, type Outage, StoppedError } from "@downbeat/runtime/back-off.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { failpoint } from "@downbeat/runtime/failpoint.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import type { Slots } from "@downbeat/runtime/slots.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import { renewLeases } from "@downbeat/store/renew-leases.ts";
import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { isTransientDatabaseError, retryLostRace } from "@downbeat/store/transient.ts";
import type { DatabaseTime } from "./database-time.ts";
import { deliver, type Delivered, type DeliverOptions } from "./deliver.ts";
import type { Outcomes } from "./outcomes.ts";

/** What is counted of attempts. */
export interface AttemptMetrics {
  attempted(run: LeasedRun, delivered: Delivered, isRecorded: boolean): void;
  /** A write found that another executor holds the run. */
  fenced(): void;
}

export interface CarryRunOptions extends DeliverOptions {
  sql: Sql;
  clock: Clock;
  log: Log;
  slots: Slots;
  outcomes: Outcomes;
  metrics: AttemptMetrics;
  databaseTime: DatabaseTime;
  executor: string;
  leaseMs: number;
  /** Of renewing leases, shared by all runs. */
  renewing: Outage;
  /** Aborts when the process drains: runs that have not been called yet are given back. */
  draining: AbortSignal;
}

/** What became of a leased run: its outcome is in the ledger; it was not called and is to be given back; or another executor has it now. */
export type Carried = "recorded" | "uncalled" | "fenced";

/** The share of a lease that must be left when a call starts; a call (30 s at most) fits into it. */
const leaseShareNeeded = 0.75;

/**
 * The life of a leased run in one place: hold it to its instant, take a slot, make sure the lease still covers a call, call, record. Everything this function decides is on the
 * ledger or in its answer.
 */
export async function carryRun(run: LeasedRun, options: CarryRunOptions): Promise<Carried> {
  const { slots, outcomes, metrics, draining, databaseTime, leaseMs } = options;
  await failpoint("executor.leased");
  await holdUntilDue(run, options);
  // A run that has no slot yet when the drain begins does not wait for one: another executor can take it at once.
  if (!(await slots.take(draining))) return "uncalled";
  let delivered: Delivered;
  try {
    if (draining.aborted) return "uncalled";
    // A run that waited long for its slot may have little of its lease left, or none.
    if (run.leasedUntil - databaseTime.now() < leaseMs * leaseShareNeeded) {
      const renewed = await renewLease(run, options);
      if (renewed === "fenced") metrics.fenced();
      if (renewed !== "held") return renewed;
    }
    delivered = await deliver(run, options);
  } finally {
    slots.release();
  }
  await failpoint("executor.called-before-record");
  const isRecorded = await outcomes.record(delivered.record);
  metrics.attempted(run, delivered, isRecorded);
  if (!isRecorded) metrics.fenced();
  logAttempt(run, delivered, isRecorded, options);
  return isRecorded ? "recorded" : "fenced";
}

/** ⑤ Messages arrive a moment early; the run starts at its instant by the database's clock, never before. */
async function holdUntilDue(run: LeasedRun, { clock, databaseTime, draining }: CarryRunOptions): Promise<void> {
  // A timer may fire a fraction of a millisecond early, so the clock has the last word.
  for (let leftMs = run.dueAt - databaseTime.now(); leftMs > 0 && !draining.aborted; leftMs = run.dueAt - databaseTime.now()) {
    await clock.sleep(Math.max(1, leftMs), draining);
  }
}

async function renewLease(
  run: LeasedRun,
  { sql, leaseMs, clock, random, log, draining, renewing }: CarryRunOptions,
): Promise<"held" | "fenced" | "uncalled"> {
  const trying = {
    clock,
    random,
    log,
    signal: draining,
    action: "renew leases",
    outage: renewing,
    isTransient: isTransientDatabaseError,
    describe: describeSchemaBehind,
  };
  try {
    const held = await keepTrying(() => retryLostRace(() => renewLeases(sql, [run], leaseMs)), trying);
    return held.has(run.leaseToken) ? "held" : "fenced";
  } catch (error) {
    // Draining while Postgres is away: whatever the lease is worth, nothing was called.
    if (error instanceof StoppedError) return "uncalled";
    throw error;
  }
}

/** The one wide line of an attempt. */
function logAttempt(
  run: LeasedRun,
  { record, internalCode, detail }: Delivered,
  isRecorded: boolean,
  { log, executor }: CarryRunOptions,
): void {
  const line = {
    tenant: run.tenantId,
    schedule: run.scheduleId,
    run: run.runId,
    attempt: run.attempt,
    endpoint: run.endpointId,
    outcome: record.outcome,
    code: internalCode,
    ...(detail === null ? {} : { detail }),
    status: record.httpStatus,
    lagMs: Math.round(record.startedAt - run.dueAt),
    durationMs: Math.round(record.durationMs),
    next: record.next,
    isRecorded,
    executor,
  };
  if (isRecorded) log.info(line, "attempt");
  else log.warn(line, "attempt fenced: another executor holds the run, nothing was written");
}
