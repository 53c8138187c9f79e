import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { Sql, TransactionSql } from "@downbeat/store/connect.ts";
import { countRecorded, type RecordedSum } from "@downbeat/store/count-recorded.ts";
import { inTransaction } from "@downbeat/store/in-transaction.ts";
import { loadCalendars } from "@downbeat/store/load-calendars.ts";
import { type AuditedSchedule, readAudited, type ScheduleCursor } from "@downbeat/store/read-audited.ts";
import { readRecorded } from "@downbeat/store/read-recorded.ts";
import { type AuditFinding, type AuditRecord, recordAudit } from "@downbeat/store/record-audit.ts";
import { type RecordedDifference, recordDifferences } from "@downbeat/store/record-differences.ts";
import { LostTurnError, saveTurn } from "@downbeat/store/save-turn.ts";
import { type CalendarsById, toRule } from "@downbeat/store/stored-timing.ts";
import { takeTurn, type Turn } from "@downbeat/store/take-turn.ts";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { type Instant, type Rule, UnusableRuleError } from "@downbeat/timing/rule.ts";
import {
  agrees,
  auditWindow,
  type AuditWindow,
  countRecordedIn,
  type Difference,
  endWithLast,
  findDifference,
} from "./compare-occurrences.ts";
import { givingWay } from "./give-way.ts";

export interface AuditOptions {
  /** A connection of its own: a claim never waits for the audit. */
  sql: Sql;
  clock: Clock;
  log: Log;
  /** Names this process. */
  dispatcher: string;
  signal: AbortSignal;
  /** A round begins this long after the last one began. */
  everyMs: number;
  /** How far back occurrences are compared. */
  windowMs: number;
  /** Schedules of one step. */
  schedulesMax?: number;
  /** Occurrences of one step, more or less: after this many it ends with the schedule it is at. */
  occurrencesMax?: number;
}

export interface AuditCounts {
  schedules: number;
  expected: number;
  recorded: number;
  lost: number;
  unexpected: number;
  /** True when the step ended a round. */
  isFinished: boolean;
}

/** How far a round has come. */
interface AuditProgress extends Omit<AuditRecord, "startedAt"> {
  /** The last schedule that was compared. Null: none was. */
  after: ScheduleCursor | null;
}

/** A schedule with this many occurrences in the window is counted in the keys of all days, one with fewer in the table of the window's. */
const denseMin = 50;

/** Instants named in the record of a round, and in a schedule's journal of each kind. */
const findingsMax = 100;
const namedMax = 20;

/**
 * One step of the self-audit (promise 1: every due instant is accounted for): compares, for the next schedules in the order of their keys, the occurrences of the last day with the ledger.
 * Answers what it found, or null when there is nothing to do: no round is due, another dispatcher is at it, or the signal aborted.
 *
 * Steps are small, because dispatchers live for a minute: whoever comes next goes on where the last step ended, and a step that was cut off is done again. A finished round is a row of
 * `audit_passes`. What differs is one error line and one entry in the schedule's journal, when it is first found.
 */
export async function auditLedger(options: AuditOptions): Promise<AuditCounts | null> {
  const { sql, log, dispatcher, signal, everyMs } = options;
  const turn = await takeTurn<AuditProgress>(sql, { key: "audit", holder: dispatcher, subject: "", everyMs });
  if (turn === null) return null;
  const batch = await inTransaction(sql, (transaction) => compareBatch(transaction, options, turn));
  if (signal.aborted) return null;
  const progress = addUp(turn.progress, batch);
  const { startedAt } = turn;
  try {
    const told = await inTransaction(sql, async (transaction) => {
      await saveTurn(transaction, { key: "audit", holder: dispatcher, progress, isFinished: batch.isLast });
      if (batch.isLast) await recordAudit(transaction, { ...progress, startedAt });
      return recordDifferences(transaction, batch.differences.map(toRecorded));
    });
    for (const [place, difference] of batch.differences.entries()) if (told.has(place)) logDifference(log, difference);
  } catch (error) {
    if (!(error instanceof LostTurnError)) throw error;
    return null;
  }
  if (batch.isLast) {
    const { schedules, expected, recorded, lost, unexpected } = progress;
    const counts = { schedules, expected, recorded, lost, unexpected, ms: Math.round(batch.nowAt - startedAt), dispatcher };
    log[lost + unexpected === 0 ? "info" : "error"](counts, "audit");
  }
  const { schedules, expected, recorded, isLast } = batch;
  return { schedules, expected, recorded, ...countDifferences(batch.differences), isFinished: isLast };
}

interface Batch {
  /** The last schedule of it. Null: there was none. */
  last: ScheduleCursor | null;
  /** True when no schedule comes after it. */
  isLast: boolean;
  nowAt: Instant;
  fromAt: Instant;
  /** Schedules that had something to compare, and what. */
  schedules: number;
  expected: number;
  recorded: number;
  differences: ScheduleDifference[];
}

interface ScheduleDifference extends Difference {
  schedule: AuditedSchedule;
}

interface Comparison {
  schedule: AuditedSchedule;
  rule: Rule;
  window: AuditWindow;
  expected: number;
}

/**
 * Reads and compares in one snapshot: with a second one, a claim in between, which writes runs and moves watermarks, would look like a loss. Its transaction locks nothing, and the event loop
 * is given back all the while.
 */
async function compareBatch(sql: TransactionSql, options: AuditOptions, turn: Turn<AuditProgress>): Promise<Batch> {
  const after = turn.progress?.after ?? null;
  const { clock, signal, windowMs, schedulesMax = 1_000, occurrencesMax = 300_000 } = options;
  await sql`set transaction isolation level repeatable read, read only`;
  const schedules = await readAudited(sql, { after, schedulesMax });
  const calendars = await loadCalendars(sql, [...new Set(schedules.flatMap(({ calendarIds }) => calendarIds ?? []))]);
  const giveWay = givingWay(clock);
  const comparisons: Comparison[] = [];
  let [taken, expectedSoFar] = [0, 0];
  for (const schedule of schedules) {
    if (signal.aborted || expectedSoFar >= occurrencesMax) break;
    taken += 1;
    const comparison = toComparison(schedule, calendars, options);
    if (comparison !== null) comparisons.push(comparison);
    expectedSoFar += comparison?.expected ?? 0;
    await giveWay();
  }
  const nowAt = schedules[0]?.nowAt ?? turn.nowAt;
  const batch: Batch = {
    last: schedules[taken - 1] ?? after,
    isLast: taken === schedules.length && schedules.length < schedulesMax,
    nowAt,
    fromAt: nowAt - windowMs,
    schedules: comparisons.length,
    expected: 0,
    recorded: 0,
    differences: [],
  };
  for (const isDense of [true, false]) {
    const alike = comparisons.filter(({ expected }) => expected >= denseMin === isDense);
    if (alike.length === 0 || signal.aborted) continue;
    const sums = await countRecorded(sql, alike.map(toRecordedWindow), { isDense });
    for (const [place, comparison] of alike.entries()) {
      if (signal.aborted) break;
      await compare(sql, comparison, sums[place] as RecordedSum, batch);
      await giveWay();
    }
  }
  return batch;
}

/** Null: there is nothing to compare, or nobody can say what the rule means. */
function toComparison(schedule: AuditedSchedule, calendars: CalendarsById, { windowMs, log }: AuditOptions): Comparison | null {
  const window = auditWindow(schedule, windowMs);
  if (schedule.isDeleted || window.from >= window.to) return null;
  try {
    const rule = toRule(schedule.scheduleId, schedule, calendars);
    return { schedule, rule, window, expected: countOccurrences(rule, window.from, window.to) };
  } catch (error) {
    // A rule that cannot be evaluated is told of, and paused, by the claim.
    if (!(error instanceof UnusableRuleError)) {
      const { tenantId: tenant, scheduleId } = schedule;
      log.error({ tenant, schedule: scheduleId, err: error }, `cannot audit a schedule: ${describeError(error)}`);
    }
    return null;
  }
}

function toRecordedWindow({ schedule: { tenantId, scheduleId }, window }: Comparison) {
  return { tenantId, scheduleId, ...window };
}

async function compare(sql: TransactionSql, comparison: Comparison, sum: RecordedSum, batch: Batch): Promise<void> {
  const { schedule, rule } = comparison;
  const isUsedUp = schedule.watermark === null && schedule.completedReason === "max_runs";
  const window = isUsedUp ? endWithLast(comparison.window, sum) : comparison.window;
  const expected = isUsedUp ? countOccurrences(rule, window.from, window.to) : comparison.expected;
  if (agrees(rule, window, sum, expected)) {
    batch.expected += expected;
    batch.recorded += countRecordedIn(rule, window, sum);
    return;
  }
  const rows = await readRecorded(sql, toRecordedWindow({ ...comparison, window }));
  const { revision, revisedAt } = schedule;
  const difference = findDifference(rule, { window, rows, revision, revisedAt });
  batch.expected += difference.expected;
  batch.recorded += difference.recorded;
  if (difference.lost.length + difference.unexpectedCount > 0) batch.differences.push({ ...difference, schedule });
}

function addUp(progress: AuditProgress | null, batch: Batch): AuditProgress {
  const { lost, unexpected } = countDifferences(batch.differences);
  return {
    after: batch.last,
    fromAt: progress?.fromAt ?? batch.fromAt,
    toAt: batch.nowAt,
    schedules: (progress?.schedules ?? 0) + batch.schedules,
    expected: (progress?.expected ?? 0) + batch.expected,
    recorded: (progress?.recorded ?? 0) + batch.recorded,
    lost: (progress?.lost ?? 0) + lost,
    unexpected: (progress?.unexpected ?? 0) + unexpected,
    findings: [...(progress?.findings ?? []), ...batch.differences.flatMap(toFindings)].slice(0, findingsMax),
  };
}

function countDifferences(differences: readonly ScheduleDifference[]): { lost: number; unexpected: number } {
  return {
    lost: differences.reduce((sum, { lost }) => sum + lost.length, 0),
    unexpected: differences.reduce((sum, { unexpectedCount }) => sum + unexpectedCount, 0),
  };
}

function toFindings({ schedule, lost, unexpected }: ScheduleDifference): AuditFinding[] {
  const place = { tenant: schedule.tenant, tenant_id: schedule.tenantId, schedule: schedule.name, schedule_id: schedule.scheduleId };
  const name = (instants: readonly Instant[], kind: AuditFinding["kind"]) => toTexts(instants).map((at) => ({ ...place, kind, at }));
  return [...name(lost, "lost"), ...name(unexpected, "unexpected")];
}

function toRecorded({ schedule: { tenantId, scheduleId }, lost, unexpected, unexpectedCount }: ScheduleDifference): RecordedDifference {
  return { tenantId, scheduleId, lost: toTexts(lost), unexpected: toTexts(unexpected), lostCount: lost.length, unexpectedCount };
}

function logDifference(log: Log, { schedule, lost, unexpected, unexpectedCount, expected, recorded }: ScheduleDifference): void {
  log.error(
    {
      tenant: schedule.tenantId,
      schedule: schedule.scheduleId,
      expected,
      recorded,
      lost: toTexts(lost),
      unexpected: toTexts(unexpected),
      lostCount: lost.length,
      unexpectedCount,
    },
    "the ledger differs from the schedule's rule",
  );
}

function toTexts(instants: readonly Instant[]): string[] {
  return instants.slice(0, namedMax).map((at) => new Date(at).toISOString());
}
