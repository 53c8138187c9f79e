import type { ScheduleEventTable } from "@downbeat/store/database.ts";
import type { StoredCalendar } from "@downbeat/store/load-calendars.ts";
import { toTiming } from "@downbeat/store/stored-timing.ts";
import { lastOccurrences } from "@downbeat/timing/last-occurrences.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Timing } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import type { Selectable } from "kysely";
import { readStoredRule, type ScheduleRuleRow, storedRuleColumns } from "../schedules/stored-rule.ts";

/** An entry of a schedule's journal. Lists of them are in the order of time. */
export type JournalEntry = Pick<Selectable<ScheduleEventTable>, "at" | "actor" | "event" | "reason" | "detail">;

/** A calendar as it was in some rule. */
export type DatedCalendar = StoredCalendar & {
  /** When it was last written. */
  updatedAt: Instant;
  /** True: what it said then is not kept. */
  isUnknown: boolean;
};

/** A rule and the stretch of time it was in force. */
export interface RuleSpan {
  /** The schedule with the rule as it was; everything else of it is as it is now. */
  row: ScheduleRuleRow;
  timing: Timing;
  /** It decides about what starts after this … */
  fromAt: Instant;
  /** … up to and with this, the instant of an edit; `Infinity` for the rule of today. */
  toAt: Instant;
  /** The edit that ended it. */
  endedBy: JournalEntry | null;
  /** The calendars that it named, as they were. */
  calendars: DatedCalendar[];
  /** Ids of those that are no more. */
  lostCalendars: string[];
}

/** What an edit can change of when a schedule runs: columns of its row. */
const timingColumns = new Set<string>([
  ...storedRuleColumns,
  "frequency",
  "overlap",
  "max_instances",
  "on_resume",
  "max_runs",
  "max_failures",
]);
const instantColumns = new Set(["anchor_at", "run_at", "starts_at", "ends_at"]);

/**
 * The rules a schedule has had, oldest first, told backwards from what it is now: the journal has of each edit the fields it replaced, and of each change of a calendar what that said before.
 * Edits that changed only what is called are left out. The first span reaches back before the schedule was created.
 */
export function ruleHistory(
  current: ScheduleRuleRow,
  journal: readonly JournalEntry[],
  known: ReadonlyMap<string, DatedCalendar>,
): RuleSpan[] {
  const spans: RuleSpan[] = [];
  let row = current;
  let calendars = known;
  let end: Pick<RuleSpan, "toAt" | "endedBy"> = { toAt: Infinity, endedBy: null };
  for (const edit of timingEdits(journal).toReversed()) {
    const editedAt = instantOfEdit(edit, current, journal);
    spans.unshift(toSpan(row, calendars, { fromAt: editedAt, ...end }));
    row = { ...row, ...replacedColumns(edit) };
    calendars = withReplacedCalendar(calendars, edit);
    end = { toAt: editedAt, endedBy: edit };
  }
  spans.unshift(toSpan(row, calendars, { fromAt: -Infinity, ...end }));
  return spans;
}

/** The rule that decides about an occurrence at `at`. */
export function spanAt(spans: readonly RuleSpan[], at: Instant): RuleSpan {
  const span = spans.find(({ toAt }) => at <= toAt);
  if (span === undefined) throw new Error("the last rule of a schedule has no end");
  return span;
}

/** How an edit changed when the schedule runs: what, before, after. */
export function changesOf(entry: JournalEntry): { field: string; before: unknown; after: unknown }[] {
  const calendar = fieldsOf(entry.detail["calendar"]);
  const ofCalendar = pairs(calendar).map(({ field, ...values }) => ({
    field: `${field} of calendar "${String(calendar["name"])}"`,
    ...values,
  }));
  return [...columnChanges(entry), ...ofCalendar];
}

function columnChanges({ detail }: JournalEntry) {
  return pairs(detail).filter(({ field }) => timingColumns.has(field));
}

function pairs(detail: Readonly<Record<string, unknown>>) {
  const [before, after] = [fieldsOf(detail["before"]), fieldsOf(detail["after"])];
  return Object.keys(before).map((field) => ({ field, before: before[field] ?? null, after: after[field] ?? null }));
}

export function timingEdits(journal: readonly JournalEntry[]): JournalEntry[] {
  return journal.filter((entry) => entry.event === "updated" && changesOf(entry).length > 0);
}

/**
 * An entry is dated when its transaction began, and the edit took effect when it had its locks, a moment later: that instant is known of the newest one, as `revised_at`.
 */
function instantOfEdit(edit: JournalEntry, current: ScheduleRuleRow, journal: readonly JournalEntry[]): Instant {
  const newest = journal.findLast(({ event }) => ["updated", "paused", "auto_paused", "resumed", "deleted"].includes(event));
  return edit === newest ? Math.max(edit.at.getTime(), current.revised_at.getTime()) : edit.at.getTime();
}

function replacedColumns(edit: JournalEntry): Partial<ScheduleRuleRow> {
  const columns = columnChanges(edit).map(({ field, before }) => [field, toColumn(field, before)] as const);
  return Object.fromEntries(columns) as Partial<ScheduleRuleRow>;
}

/** The calendars before one of them was changed. Of one with very many entries the journal only says how many; it is left as it is, and the doubt is told. */
function withReplacedCalendar(calendars: ReadonlyMap<string, DatedCalendar>, { detail }: JournalEntry): ReadonlyMap<string, DatedCalendar> {
  const change = fieldsOf(detail["calendar"]);
  const calendar = calendars.get(String(change["id"]));
  if (calendar === undefined) return calendars;
  const { entries, ...parts } = fieldsOf(change["before"]);
  const isUnknown = calendar.isUnknown || typeof entries === "string";
  return new Map([
    ...calendars,
    [calendar.id, { ...calendar, ...parts, ...(Array.isArray(entries) ? { entries: entries as string[] } : {}), isUnknown }],
  ]);
}

/** The journal keeps instants as texts. */
function toColumn(field: string, value: unknown): unknown {
  return instantColumns.has(field) && typeof value === "string" ? new Date(value) : value;
}

function toSpan(
  row: ScheduleRuleRow,
  calendars: ReadonlyMap<string, DatedCalendar>,
  bounds: Pick<RuleSpan, "fromAt" | "toAt" | "endedBy">,
): RuleSpan {
  const named = row.calendar_ids.flatMap((id) => calendars.get(id) ?? []);
  const lostCalendars = row.calendar_ids.filter((id) => !calendars.has(id));
  const timing = toTiming(row.id, readStoredRule({ ...row, calendar_ids: named.map(({ id }) => id) }), calendars);
  return { row, timing, calendars: named, lostCalendars, ...bounds };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** How far back the occurrence before an instant is looked for. */
const lookBackMs = 400 * 86_400_000;

/** Instants have years of four digits. */
const instantMax: Instant = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** The occurrence before `at`, by the rules of their time, and none from before the schedule was created. Null: there is none, or nobody can tell. */
export function occurrenceBefore(spans: readonly RuleSpan[], at: Instant, createdAt: Instant): Instant | null {
  const earliest = Math.max(0, createdAt, at - lookBackMs) + 1;
  for (const { fromAt, toAt, timing } of spans.toReversed()) {
    const [from, to] = [Math.max(fromAt + 1, earliest), Math.min(at, toAt + 1)];
    const [found = null] = from < to ? evaluate(() => lastOccurrences(timing.rule, { from, to, countMax: 1 }), []) : [];
    if (found !== null || fromAt < earliest) return found;
  }
  return null;
}

/** The occurrence after `at`, likewise. */
export function occurrenceAfter(spans: readonly RuleSpan[], at: Instant, createdAt: Instant): Instant | null {
  for (const { fromAt, toAt, timing } of spans) {
    const next = toAt <= at ? null : evaluate(() => nextOccurrence(timing.rule, Math.max(at, fromAt, createdAt)), null);
    if (next !== null && next <= toAt) return next <= instantMax ? next : null;
  }
  return null;
}

function evaluate<Result>(look: () => Result, otherwise: Result): Result {
  try {
    return look();
  } catch (error) {
    if (error instanceof UnusableRuleError) return otherwise;
    throw error;
  }
}

/** A time in which a schedule was paused. */
export interface PauseSpan {
  fromAt: Instant;
  /** When it ended, or will end by itself. Null: it goes on, and nobody knows how long. */
  toAt: Instant | null;
  /** What starts exactly at its end: not, where somebody ended it then; does, where it ended by itself. */
  isEndIncluded: boolean;
  startedBy: string;
  /** Null: it has not ended. */
  endedBy: string | null;
  reason: string | null;
}

/** The pauses of a schedule, oldest first. What is paused now is read from its row, which also knows of pauses that the journal has no word of. */
export function pausesOf(current: ScheduleRuleRow, journal: readonly JournalEntry[]): PauseSpan[] {
  const pauses: PauseSpan[] = [];
  let open: PauseSpan | null = null;
  for (const entry of journal) {
    const at = entry.at.getTime();
    if (entry.event === "paused" || entry.event === "auto_paused") {
      const until = entry.detail["until"];
      const toAt = typeof until === "string" ? Date.parse(until) : null;
      open = open ?? { fromAt: at, toAt, isEndIncluded: false, startedBy: entry.actor, endedBy: null, reason: null };
      open.toAt = toAt;
      open.reason = entry.reason ?? open.reason;
    } else if (entry.event === "resumed" && open !== null) {
      // One that ends by itself is ended a little ahead of its time, and lasts until then nevertheless.
      const isByItself = entry.actor === "dispatcher" && open.toAt !== null;
      pauses.push({ ...open, toAt: isByItself ? open.toAt : at, isEndIncluded: !isByItself, endedBy: entry.actor });
      open = null;
    }
  }
  if (current.paused_at === null) return pauses;
  const { paused_at: pausedAt, paused_until: pausedUntil, pause_reason: reason } = current;
  const startedBy = open?.startedBy ?? "dispatcher";
  const toAt = pausedUntil?.getTime() ?? null;
  return [...pauses, { fromAt: pausedAt.getTime(), toAt, isEndIncluded: false, startedBy, endedBy: null, reason }];
}

/** The pause in which something that is to start at `dueAt` does not. */
export function pauseAt(pauses: readonly PauseSpan[], dueAt: Instant): PauseSpan | null {
  const isIn = ({ fromAt, toAt, isEndIncluded }: PauseSpan) =>
    dueAt > fromAt && (toAt === null || dueAt < toAt || (isEndIncluded && dueAt === toAt));
  return pauses.find(isIn) ?? null;
}
