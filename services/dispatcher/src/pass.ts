import type { QueueClient } from "@downbeat/queue/client.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { findUnfinishedBackfills } from "@downbeat/store/lock-backfill.ts";
import { recordPass } from "@downbeat/store/record-pass.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { claimDue } from "./claim-due.ts";
import type { DispatcherConfig } from "./config.ts";
import { feedBackfill } from "./feed-backfills.ts";
import { Sender } from "./send-claimed.ts";
import { sweepOverdue } from "./sweep-overdue.ts";

/** What is counted of passes. */
export interface PassMetrics {
  passed(counts: PassCounts, durationMs: number, isOk: boolean): void;
}

export interface PassOptions {
  sql: Sql;
  queue: QueueClient;
  clock: Clock;
  log: Log;
  config: DispatcherConfig;
  /** Default: nobody counts. */
  metrics?: PassMetrics;
  /** Names this process in the ledger. */
  dispatcher: string;
  signal: AbortSignal;
  /** False leaves expired leases to a later pass. Default true. */
  areLeasesJudged?: boolean;
  /** Called after each claim, also of nothing. */
  onClaimed?: () => void;
}

export interface PassCounts {
  /** Runs made: of occurrences that are due, and of backfills. */
  claimed: number;
  missed: number;
  sent: number;
  sendFailed: number;
  swept: number;
}

/**
 * One pass: sweep what was left behind, claim what is due, feed backfills, and hand all of it to the queue while claiming goes on. Writes one log line, unless it failed or had nothing to do, and one `dispatch_passes` row.
 * Throws when Postgres or the queue failed it; whatever was committed by then is taken up by the next pass, of this or any other dispatcher.
 */
export async function runPass(options: PassOptions): Promise<PassCounts> {
  const { sql, queue, clock, log, config, metrics, dispatcher } = options;
  const startedAt = clock.now();
  const startedAtMs = clock.monotonic();
  const sender = new Sender({
    sql,
    queue,
    queueUrl: config.SQS_QUEUE_URL,
    clock,
    log,
    runsPerMessage: config.RUNS_PER_MESSAGE,
    sendsInFlight: config.SENDS_IN_FLIGHT,
    lostAfterMs: config.LOST_AFTER_SECONDS * 1_000,
  });
  const counts = { claimed: 0, missed: 0, swept: 0 };
  let failure: unknown;
  try {
    await sweepAll(options, sender, counts);
    await claimAll(options, sender, counts);
    await feedAll(options, sender, counts);
  } catch (error) {
    failure = error;
  }
  await sender.settled().catch((error: unknown) => {
    failure ??= error;
  });
  const result: PassCounts = { ...counts, sent: sender.counts.sent, sendFailed: sender.counts.failed };
  const finishedAt = clock.now();
  const error = failure === undefined ? null : describeError(failure);
  await recordPass(sql, { ...result, dispatcher, startedAt, finishedAt, error }).catch((recordError: unknown) => {
    failure ??= recordError;
  });
  metrics?.passed(result, clock.monotonic() - startedAtMs, failure === undefined);
  // A failed pass is told by whoever catches it, an empty one by nobody: one line for each thing that happened.
  const isQuiet = failure !== undefined || result.claimed + result.missed + result.swept === 0;
  log[isQuiet ? "debug" : "info"](
    { ...result, ms: finishedAt - startedAt, dispatcher, ...(failure === undefined ? {} : { err: failure }) },
    "pass",
  );
  if (failure !== undefined) throw failure;
  return result;
}

type Counts = Omit<PassCounts, "sent" | "sendFailed">;

async function sweepAll(
  { sql, clock, config, signal, areLeasesJudged = true }: PassOptions,
  sender: Sender,
  counts: Counts,
): Promise<void> {
  for (;;) {
    const askedAtMs = clock.monotonic();
    const overdue = await sweepOverdue({
      sql,
      batchSize: config.CLAIM_BATCH,
      publishTimeoutMs: config.PUBLISH_TIMEOUT_MS,
      areLeasesJudged,
      leaseGraceMs: config.LEASE_GRACE_SECONDS * 1_000,
    });
    counts.swept += overdue.length;
    sender.send(
      overdue.filter((run) => run.isSendable),
      { nowAt: overdue[0]?.nowAt ?? 0, askedAtMs },
    );
    // While the queue is away there is no use in taking up more; claiming goes on, so that what is due is in the ledger.
    if (overdue.length < config.CLAIM_BATCH || signal.aborted || sender.hasFailed) return;
  }
}

async function claimAll({ sql, clock, log, config, signal, onClaimed }: PassOptions, sender: Sender, counts: Counts): Promise<void> {
  for (;;) {
    const askedAtMs = clock.monotonic();
    const batch = await claimDue({
      sql,
      log,
      horizonMs: config.HORIZON_SECONDS * 1_000,
      batchSize: config.CLAIM_BATCH,
      publishTimeoutMs: config.PUBLISH_TIMEOUT_MS,
    });
    onClaimed?.();
    counts.claimed += batch.runs.length;
    counts.missed += batch.missed;
    sender.send(
      batch.runs.map(({ tenantId, runId, dueAt }) => ({ tenantId, runId, dueAt, attempt: 0 })),
      { nowAt: batch.nowAt, askedAtMs },
    );
    if (!batch.hasMore || signal.aborted) return;
  }
}

/** Backfills come last: what they run is long past. While the queue is away they wait, for what they have open already. */
async function feedAll({ sql, clock, log, config, signal }: PassOptions, sender: Sender, counts: Counts): Promise<void> {
  for (const backfill of await findUnfinishedBackfills(sql)) {
    try {
      for (let isCut = true; isCut && !signal.aborted && !sender.hasFailed;) {
        const askedAtMs = clock.monotonic();
        const fed = await feedBackfill({ sql, backfill, publishTimeoutMs: config.PUBLISH_TIMEOUT_MS });
        counts.claimed += fed.runs.length;
        sender.send(
          fed.runs.map(({ tenantId, runId, dueAt }) => ({ tenantId, runId, dueAt, attempt: 0 })),
          { nowAt: fed.nowAt, askedAtMs },
        );
        ({ isCut } = fed);
      }
    } catch (error) {
      // A rule that the time zone database no longer knows: this backfill stands still, and the others go on.
      if (!(error instanceof UnusableRuleError)) throw error;
      log.error(
        { tenant: backfill.tenantId, backfill: backfill.backfillId, err: error },
        `cannot feed a backfill: its ${error.field} ${error.message}`,
      );
    }
  }
}
