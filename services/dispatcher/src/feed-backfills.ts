import type { Sql, TransactionSql } from "@downbeat/store/connect.ts";
import { ensurePartitions } from "@downbeat/store/ensure-partitions.ts";
import { inTransaction } from "@downbeat/store/in-transaction.ts";
import type { InsertedRun } from "@downbeat/store/insert-claimed.ts";
import { type BackfillKey, lockBackfill, type LockedBackfill, readRunStates, readSettled } from "@downbeat/store/lock-backfill.ts";
import { liveRunStates, type RunState } from "@downbeat/store/run-states.ts";
import { toRule } from "@downbeat/store/stored-timing.ts";
import { withdrawRuns } from "@downbeat/store/withdraw-runs.ts";
import { writeFed } from "@downbeat/store/write-fed.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";

export interface FeedBackfillOptions {
  sql: Sql;
  backfill: BackfillKey;
  publishTimeoutMs: number;
}

export interface FedBatch {
  /** Runs that were made, to be sent. */
  runs: InsertedRun[];
  /** The database's clock, in ms since 1970. */
  nowAt: number;
  /** True when there is still room, and occurrences that were not looked at. */
  isCut: boolean;
}

const nothing: FedBatch = { runs: [], nowAt: 0, isCut: false };

/** Occurrences looked up at once. More than the highest concurrency, so that an ordinary look is one statement. */
const lookedUpAtOnce = 128;

/** Look-ups in one transaction: where most occurrences have succeeded already, room is filled by several short transactions and not one long one. */
const lookUpsMax = 16;

const liveStates: ReadonlySet<RunState> = new Set(liveRunStates);

/**
 * One look at a backfill: counts its runs that have ended, and fills their places with runs of further occurrences, leaving out those that have succeeded meanwhile. When none is left and the
 * last run has ended, it is finished. Of a canceled backfill, and of a deleted schedule's, the runs that nobody is calling are withdrawn, among them those that failed after the cancellation and
 * would be tried again.
 *
 * One short transaction, under the lock of the backfill's row: several dispatchers at once never exceed its concurrency, and a crash leaves all of it or nothing. Its runs are sent by whoever
 * made them, as those of a claim, or after the publish timeout by the sweep.
 */
export function feedBackfill({ sql, backfill: key, publishTimeoutMs }: FeedBackfillOptions): Promise<FedBatch> {
  return inTransaction(sql, async (transaction): Promise<FedBatch> => {
    const backfill = await lockBackfill(transaction, key);
    if (backfill === undefined) return nothing;
    const state = backfill.isScheduleDeleted ? "canceled" : backfill.state;
    if (state === "canceled") {
      const { tenantId, openRuns: runIds } = backfill;
      await withdrawRuns(transaction, { tenantId, runIds, reason: "backfill_canceled", actor: "dispatcher" });
    }
    const { openRuns, succeeded, failed } = await readOpen(transaction, backfill);
    const isFed = state === "running" && !backfill.isUnderMaintenance;
    const room = isFed ? backfill.concurrency - openRuns.length : 0;
    const { instants, nextAt } = await findGaps(transaction, backfill, room);
    await ensurePartitions(transaction, instants, backfill.nowAt);
    const isOver = openRuns.length + instants.length === 0 && (state === "canceled" || (state === "running" && nextAt === null));
    const runs = await writeFed(transaction, backfill, {
      instants,
      nextAt,
      openRuns,
      succeeded,
      failed,
      state: isOver && state === "running" ? "completed" : state,
      isFinished: isOver,
      publishTimeoutMs,
    });
    return { runs, nowAt: backfill.nowAt, isCut: instants.length < room && nextAt !== null };
  });
}

/** Of the runs that were under way, those that still are, and how the others did. */
async function readOpen(sql: TransactionSql, { tenantId, openRuns }: LockedBackfill) {
  const states = await readRunStates(sql, tenantId, openRuns);
  const isIn = (state: RunState) => (runId: string) => states.get(runId) === state;
  return {
    openRuns: openRuns.filter((runId) => liveStates.has(states.get(runId) ?? "canceled")),
    succeeded: openRuns.filter(isIn("succeeded")).length,
    failed: openRuns.filter(isIn("failed")).length,
  };
}

/** The first `room` occurrences that still need a run, and the one to go on with. */
async function findGaps(
  sql: TransactionSql,
  backfill: LockedBackfill,
  room: number,
): Promise<{ instants: Instant[]; nextAt: Instant | null }> {
  const { tenantId, scheduleId, toAt } = backfill;
  const instants: Instant[] = [];
  let { nextAt } = backfill;
  if (room <= 0 || nextAt === null) return { instants, nextAt };
  const rule = toRule(scheduleId, backfill.rule, new Map(backfill.calendars.map((calendar) => [calendar.id, calendar])));
  for (let lookUps = 0; lookUps < lookUpsMax && nextAt !== null && instants.length < room; lookUps += 1) {
    const candidates = occurrencesFrom(rule, nextAt, toAt);
    const settled = await readSettled(sql, { tenantId, scheduleId, fromAt: nextAt, toAt: candidates.at(-1) ?? nextAt });
    const gaps = candidates.filter((at) => !settled.has(at)).slice(0, room - instants.length);
    instants.push(...gaps);
    const last = instants.length < room ? candidates.at(-1) : gaps.at(-1);
    const following: Instant | null = nextOccurrence(rule, last ?? nextAt);
    nextAt = following !== null && following <= toAt ? following : null;
  }
  return { instants, nextAt };
}

/** `from`, which is an occurrence, and those after it, up to and including `to`. */
function occurrencesFrom(rule: Rule, from: Instant, to: Instant): Instant[] {
  const found: Instant[] = [];
  for (let at: Instant | null = from; at !== null && at <= to && found.length < lookedUpAtOnce; at = nextOccurrence(rule, at))
    found.push(at);
  return found;
}
