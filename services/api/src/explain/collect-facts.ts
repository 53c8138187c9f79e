import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Instant } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import type { LocalReading } from "./asked-instant.ts";
import { databaseNow } from "../schedules/create-schedule.ts";
import { findById, findOccurrence, findOtherRuns, findOwnRow, type FoundOccurrence, type OccurrenceRow } from "./find-occurrence.ts";
import type { InstantFacts, ScheduleFacts } from "./instant-facts.ts";
import type { ScheduleKey } from "../schedules/lock-schedule.ts";
import { scheduleNotFound } from "../schedules/read-schedules.ts";
import { type RuleFacts, ruleFactsAt } from "./rule-facts.ts";
import {
  type DatedCalendar,
  type JournalEntry,
  occurrenceAfter,
  occurrenceBefore,
  pausesOf,
  ruleHistory,
  spanAt,
  timingEdits,
} from "./rule-history.ts";
import { readRunDetail } from "../runs/run-timeline.ts";
import type { ScheduleRuleRow } from "../schedules/stored-rule.ts";

/** A row is never dated later than this after now: dispatchers look ahead of what is due, and of a pause's end. */
const lookAheadMsMax = 86_400_000;

/**
 * Reads what is known of a schedule, deleted or not. The watermark is read before any run is looked for: a claim that commits in between has then written the runs that are found, whereas the
 * other way round its occurrences would look lost.
 *
 * Index: primary keys of the schedule, its tenant, its due row, its journal and its calendars. Bounded by the edits it has seen.
 */
export async function collectScheduleFacts(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey): Promise<ScheduleFacts> {
  const nowAt = await databaseNow(database);
  const due = await database
    .selectFrom("downbeat.schedule_due")
    .select(["next_run_at", "scheduled_for"])
    .where("tenant_id", "=", tenantId)
    .where("schedule_id", "=", scheduleId)
    .executeTakeFirst();
  const schedule = await database
    .selectFrom("downbeat.schedules")
    .selectAll()
    .where("tenant_id", "=", tenantId)
    .where("id", "=", scheduleId)
    .executeTakeFirst();
  if (schedule === undefined) throw scheduleNotFound();
  const tenant = await database
    .selectFrom("downbeat.tenants")
    .select(["maintenance_from", "maintenance_until", "maintenance_reason", "runs_per_day_max"])
    .where("id", "=", tenantId)
    .executeTakeFirstOrThrow();
  const journal = await database
    .selectFrom("downbeat.schedule_events")
    .select(["at", "actor", "event", "reason", "detail"])
    .where("tenant_id", "=", tenantId)
    .where("schedule_id", "=", scheduleId)
    .orderBy("at")
    .orderBy("id")
    .execute();
  const pass = await database
    .selectFrom("downbeat.dispatch_passes")
    .select("finished_at")
    .orderBy("started_at", "desc")
    .limit(1)
    .executeTakeFirst();
  const calendars = await readCalendars(database, schedule, journal);
  return {
    nowAt,
    schedule,
    tenant,
    watermark: (due?.scheduled_for ?? due?.next_run_at)?.getTime() ?? null,
    lookAt: due?.next_run_at.getTime() ?? null,
    journal,
    spans: ruleHistory(schedule, journal, calendars),
    pauses: pausesOf(schedule, journal),
    lastPassAt: pass?.finished_at.getTime() ?? null,
  };
}

/** Every calendar that the schedule names or once named and that still exists. */
async function readCalendars(
  database: TenantDatabase,
  schedule: ScheduleRuleRow,
  journal: readonly JournalEntry[],
): Promise<Map<string, DatedCalendar>> {
  const named = timingEdits(journal).flatMap(
    ({ detail }) => (detail["before"] as { calendar_ids?: string[] } | undefined)?.calendar_ids ?? [],
  );
  const ids = [...new Set([...schedule.calendar_ids, ...named])];
  if (ids.length === 0) return new Map();
  const rows = await database
    .selectFrom("downbeat.calendars")
    .select(["id", "name", "kind", "timezone", "entries", "updated_at"])
    .where("id", "in", ids)
    .execute();
  return new Map(
    rows.map(({ updated_at: updatedAt, ...calendar }) => [calendar.id, { ...calendar, updatedAt: updatedAt.getTime(), isUnknown: false }]),
  );
}

/**
 * Collects everything that decides about one instant of a schedule. `local` is set where a local time was asked about; one that nothing of the rule stands for is not looked for in the
 * ledger.
 *
 * Index: primary keys, and the occurrence keys of the days that `findOccurrence` looks at.
 */
export async function collectFacts(
  database: TenantDatabase,
  known: ScheduleFacts,
  { at, local = null }: { at: Instant; local?: LocalReading | null },
): Promise<InstantFacts> {
  const { schedule, spans, nowAt } = known;
  const key = { tenantId: schedule.tenant_id, scheduleId: schedule.id };
  const isInstant = local === null || local.isInstant;
  const ruleThen = ruleFactsAt(spanAt(spans, at), at);
  const found = isInstant ? await findIn(database, key, { at, nowAt, rule: ruleThen }) : nothing;
  const { run } = found;
  // A run that an edit withdrew before its time was made by the rule before that.
  const ruleOfRun =
    run !== null && ruleThen.trace?.isOccurrence !== true ? ruleFactsAt(spanAt(spans, run.created_at.getTime()), at) : ruleThen;
  const rule = ruleOfRun.trace?.isOccurrence === true ? ruleOfRun : ruleThen;
  const previousAt = occurrenceBefore(spans, at, schedule.created_at.getTime());
  return {
    ...known,
    ...found,
    at,
    local,
    rule,
    detail: run === null ? null : await readRunDetail(database, run),
    blocker: run?.blocked_by == null ? null : await findById(database, key.tenantId, run.blocked_by),
    replacement: run?.reason === "coalesced" ? await findReplacement(database, key, { run, rule }) : null,
    withdrawal: run?.state === "canceled" ? withdrawalOf(run, known.journal) : null,
    tenantRuns: await countTenantRuns(database, known, run),
    auditedAt: run === null && at <= nowAt && rule.trace?.isOccurrence === true ? await lastAuditOf(database, at) : null,
    others: at <= nowAt + lookAheadMsMax ? await findOtherRuns(database, key, at) : [],
    previousAt,
    nextAt: occurrenceAfter(spans, at, schedule.created_at.getTime()),
    spreadFrom: previousAt !== null && ruleFactsAt(spanAt(spans, previousAt), previousAt).dueAt === at ? previousAt : null,
  };
}

const nothing: FoundOccurrence = { run: null, followedBy: null };

/** What the ledger has at an instant. Where the rule has no occurrence, only a row of its own counts: a stretch does not stand for what lies between its occurrences. */
async function findIn(
  database: TenantDatabase,
  key: ScheduleKey,
  { at, nowAt, rule }: { at: Instant; nowAt: Instant; rule: RuleFacts },
): Promise<FoundOccurrence> {
  if (rule.trace === null || rule.trace.isOccurrence) return findOccurrence(database, key, { at, untilAt: nowAt + lookAheadMsMax });
  return { run: await findOwnRow(database, key, at), followedBy: null };
}

/** Of a downtime the newest occurrence ran, which is the one after the stretch. */
async function findReplacement(database: TenantDatabase, key: ScheduleKey, { run, rule }: { run: OccurrenceRow; rule: RuleFacts }) {
  if (rule.trace === null) return null;
  const at = nextOccurrence(rule.span.timing.rule, run.scheduled_for.getTime());
  return at === null ? null : findOwnRow(database, key, at);
}

/** The edit, pause or deletion that withdrew a run: the last one before it was canceled. */
function withdrawalOf(run: OccurrenceRow, journal: readonly JournalEntry[]): JournalEntry | null {
  const canceledAt = run.finished_at?.getTime() ?? Infinity;
  const withdrawing = new Set<JournalEntry["event"]>(["updated", "paused", "auto_paused", "deleted"]);
  return journal.findLast(({ at, event }) => withdrawing.has(event) && at.getTime() <= canceledAt) ?? null;
}

/** Runs are counted on the day of their claim, in UTC, and only of tenants with a limit. */
async function countTenantRuns(
  database: TenantDatabase,
  { tenant, schedule }: ScheduleFacts,
  run: OccurrenceRow | null,
): Promise<number | null> {
  if (run === null || (tenant.runs_per_day_max === null && run.reason !== "budget")) return null;
  const day = run.created_at.toISOString().slice(0, 10);
  const { rows } = await fragment<{ runs: number }>`
    select runs from downbeat.tenant_usage where tenant_id = ${schedule.tenant_id} and day = ${day}::date`.execute(database);
  return rows[0]?.runs ?? null;
}

/** Bounded: rounds are hourly, and their records are kept for a while only. */
async function lastAuditOf(database: TenantDatabase, at: Instant): Promise<Instant | null> {
  const round = await database
    .selectFrom("downbeat.audit_passes")
    .select("finished_at")
    .where("from_at", "<=", new Date(at))
    .where("to_at", ">", new Date(at))
    .orderBy("started_at", "desc")
    .limit(1)
    .executeTakeFirst();
  return round?.finished_at.getTime() ?? null;
}
