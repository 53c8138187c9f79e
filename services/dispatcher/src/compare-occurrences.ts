/**
 * The comparison at the heart of the self-audit: occurrences that a rule has against rows that the ledger has. Pure.
 *
 * Counts come first, because counting a rule is cheap and they nearly always agree; instants are only walked where they do not.
 */
import type { AuditedSchedule } from "@downbeat/store/read-audited.ts";
import type { RecordedSum } from "@downbeat/store/count-recorded.ts";
import type { RecordedRow } from "@downbeat/store/read-recorded.ts";
import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { lastOccurrences } from "@downbeat/timing/last-occurrences.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";

/** Occurrences from `from` up to, not including, `to`; whole ms. */
export interface AuditWindow {
  from: Instant;
  to: Instant;
}

/**
 * The occurrences of a schedule that its present rule has decided about in the last `windowMs`: later than its last change, and before its watermark. What is put off, by maintenance or a
 * limit, has an old watermark and is not looked at yet. Empty (`from >= to`) where there is nothing to compare.
 */
export function auditWindow(
  { nowAt, validFrom, watermark, pausedAt }: Pick<AuditedSchedule, "nowAt" | "validFrom" | "watermark" | "pausedAt">,
  windowMs: number,
): AuditWindow {
  const from = Math.max(Math.ceil(nowAt - windowMs), Math.floor(validFrom) + 1);
  // Neither due nor paused: it is completed and has nothing to come; or it dropped out of the due index, which must show as a loss.
  const evaluatedTo = watermark ?? pausedAt ?? nowAt;
  return { from, to: Math.ceil(Math.min(nowAt, evaluatedTo)) };
}

/** The window of a schedule that was completed because it has had all its runs: it ends with the last one. */
export function endWithLast({ from, to }: AuditWindow, { last, special }: RecordedSum): AuditWindow {
  const ends = special.map(({ at }) => at);
  return { from, to: Math.min(to, Math.max(last ?? from - 1, ...ends) + 1) };
}

/** How many occurrences of the window the ledger has, if each of its rows stands for one, and each stretch for those it counts. */
export function countRecordedIn(rule: Rule, { from, to }: AuditWindow, { rows, special }: RecordedSum): number {
  const stretches = special.filter(isStretch);
  const single = rows - stretches.filter(({ at }) => at < to).length;
  return stretches.reduce(
    (sum, { rangeFrom, rangeCount, at }) =>
      sum + (rangeFrom >= from && at < to ? rangeCount : countOccurrences(rule, Math.max(from, rangeFrom), Math.min(to, at + 1))),
    single,
  );
}

/**
 * True when rule and ledger agree as far as counts can tell: as many occurrences, the same first and the same last one. False sends for the rows; so does whatever an edit withdrew, which
 * counts or not depending on what the rule is now.
 */
export function agrees(rule: Rule, window: AuditWindow, sum: RecordedSum, expected: number): boolean {
  const stretches = sum.special.filter(isStretch);
  if (stretches.length < sum.special.length || countRecordedIn(rule, window, sum) !== expected) return false;
  if (expected === 0 || stretches.some(({ rangeFrom, at }) => rangeFrom < window.from || at >= window.to)) return true;
  const first = Math.min(sum.first ?? Infinity, ...stretches.map(({ rangeFrom }) => rangeFrom));
  const [last] = lastOccurrences(rule, { ...window, countMax: 1 });
  return first === nextOccurrence(rule, window.from - 1) && sum.last === last;
}

type StretchRow = RecordedRow & { rangeFrom: number; rangeCount: number };

function isStretch(row: RecordedRow): row is StretchRow {
  return row.rangeFrom !== null && row.rangeCount !== null;
}

/** Where rule and ledger differ. */
export interface Difference {
  expected: number;
  recorded: number;
  /** Occurrences that no row has. */
  lost: Instant[];
  /** Rows of something that is no occurrence, or that another row has already. */
  unexpected: Instant[];
  /** At least as many as `unexpected` names: a stretch may claim more occurrences than there are. */
  unexpectedCount: number;
}

export interface FindDifferenceOptions {
  window: AuditWindow;
  rows: readonly RecordedRow[];
  /** Of the schedule, and since when. */
  revision: number;
  revisedAt: Instant;
}

/** Runs are leased a moment before their instant; an edit in this moment comes too late for them. */
const leasedAheadMs = 5_000;

/** Walks the window and names what differs. A row of an older revision counts where the rule still has its occurrence and no newer row has. */
export function findDifference(rule: Rule, { window, rows, revision, revisedAt }: FindDifferenceOptions): Difference {
  const expected = walk(rule, window);
  const isCovered = expected.map(() => false);
  const unexpected: Instant[] = [];
  let recorded = 0;
  let excess = 0;
  const places = (from: Instant, to: Instant) => ({ first: lowerBound(expected, from), end: lowerBound(expected, to + 1) });

  for (const row of rows.filter((one) => one.revision >= revision)) {
    const begin = row.rangeFrom ?? row.at;
    const { first, end } = places(begin, row.at);
    const isInside = begin >= window.from && row.at < window.to;
    const size = isInside ? (row.rangeCount ?? 1) : end - first;
    recorded += size;
    const coveredEnd = Math.min(end, first + size);
    for (let place = first; place < coveredEnd; place += 1) {
      if (isCovered[place]) unexpected.push(expected[place] ?? row.at);
      isCovered[place] = true;
    }
    if (size > coveredEnd - first) {
      unexpected.push(row.at);
      excess += size - (coveredEnd - first) - 1;
    }
  }
  for (const row of rows.filter((one) => one.revision < revision)) {
    const { first, end } = places(row.rangeFrom ?? row.at, row.at);
    for (let place = first; place < end; place += 1) {
      if (isCovered[place]) continue;
      isCovered[place] = true;
      recorded += 1;
    }
    if (first === end && hasRunAgainst(row, revisedAt)) {
      recorded += 1;
      unexpected.push(row.at);
    }
  }
  const lost = expected.filter((_, place) => !isCovered[place]);
  return { expected: expected.length, recorded, lost, unexpected, unexpectedCount: unexpected.length + excess };
}

/** True when a row of an older revision ran although the edit should have withdrawn it. */
function hasRunAgainst({ at, state }: RecordedRow, revisedAt: Instant): boolean {
  return at > revisedAt + leasedAheadMs && (state === "running" || state === "retrying" || state === "succeeded" || state === "failed");
}

function walk(rule: Rule, { from, to }: AuditWindow): Instant[] {
  const instants: Instant[] = [];
  for (let at = nextOccurrence(rule, from - 1); at !== null && at < to; at = nextOccurrence(rule, at)) instants.push(at);
  return instants;
}

/** The first place in a sorted list whose value is at least `value`. */
function lowerBound(sorted: readonly Instant[], value: Instant): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
