import { occurrenceAfter, occurrenceBefore, pausesOf, ruleHistory, spanAt, type DatedCalendar, type JournalEntry } from "./rule-history.ts";
import type { OccurrenceRow } from "./find-occurrence.ts";
import type { InstantFacts } from "./instant-facts.ts";
import { readLocalTime } from "./asked-instant.ts";
import { toRun } from "../runs/read-runs.ts";
import { ruleFactsAt } from "./rule-facts.ts";
import type { ScheduleRuleRow } from "../schedules/stored-rule.ts";

export const at = (text: string) => Date.parse(text);
export const date = (text: string) => new Date(text);

/** A schedule that runs each day at nine in New York, made on the first of January 2026. */
export function scheduleRow(fields: Partial<ScheduleRuleRow> = {}): ScheduleRuleRow {
  return {
    tenant_id: "00000000-0000-4000-8000-000000000001",
    id: "00000000-0000-4000-8000-000000000002",
    name: "nightly",
    kind: "cron",
    frequency: null,
    cron_expression: "0 9 * * *",
    timezone: "America/New_York",
    interval_seconds: null,
    anchor_at: null,
    run_at: null,
    starts_at: null,
    ends_at: null,
    dst_gap: "run_at_gap_end",
    dst_overlap: "first",
    misfire: "latest",
    grace_seconds: 86_400,
    overlap: "skip",
    max_instances: 3,
    on_resume: "skip",
    spread_seconds: null,
    spread_share: null,
    max_runs: null,
    max_failures: null,
    calendar_ids: [],
    tzdata: null,
    endpoint_id: "00000000-0000-4000-8000-000000000003",
    target: {},
    input: {},
    revision: 1,
    revised_at: date("2026-01-01T00:00:00Z"),
    paused_at: null,
    paused_until: null,
    pause_reason: null,
    completed_at: null,
    completed_reason: null,
    deleted_at: null,
    created_at: date("2026-01-01T00:00:00Z"),
    updated_at: date("2026-01-01T00:00:00Z"),
    ...fields,
  };
}

export function journalEntry(text: string, event: JournalEntry["event"], fields: Partial<JournalEntry> = {}): JournalEntry {
  return { at: date(text), event, actor: "key k1", reason: null, detail: {}, ...fields };
}

export function runRow(fields: Partial<OccurrenceRow> = {}): OccurrenceRow {
  return {
    tenant_id: "00000000-0000-4000-8000-000000000001",
    id: "00000000-0000-8000-8000-00000000000a",
    schedule_id: "00000000-0000-4000-8000-000000000002",
    schedule_revision: 1,
    scheduled_for: date("2026-02-02T14:00:00Z"),
    trigger_id: "",
    state: "succeeded",
    reason: null,
    attempt: 0,
    due_at: date("2026-02-02T14:00:00Z"),
    queued_at: null,
    started_at: null,
    finished_at: null,
    http_status: null,
    spread_ms: null,
    blocked_by: null,
    range_from: null,
    range_count: null,
    created_at: date("2026-02-02T13:59:00Z"),
    tenant_slug: "acme",
    schedule_name: "nightly",
    ...fields,
  };
}

export interface ArrangedFacts extends Partial<Omit<InstantFacts, "schedule" | "at" | "run" | "tenant">> {
  schedule?: Partial<ScheduleRuleRow>;
  at?: string;
  /** A local time, in place of `at`. */
  wall?: string;
  now?: string;
  run?: Partial<OccurrenceRow>;
  tenant?: Partial<InstantFacts["tenant"]>;
  calendars?: readonly DatedCalendar[];
}

/** The facts of an instant as `collectFacts` collects them, with what a test says in their place. */
export function arrangeFacts({
  schedule: fields,
  at: text,
  wall,
  now,
  run,
  tenant,
  calendars = [],
  ...given
}: ArrangedFacts = {}): InstantFacts {
  const schedule = scheduleRow(fields);
  const journal = given.journal ?? [journalEntry("2026-01-01T00:00:00Z", "created")];
  const spans = ruleHistory(schedule, journal, new Map(calendars.map((calendar) => [calendar.id, calendar])));
  const nowAt = at(now ?? "2026-02-03T00:00:00Z");
  const local = wall === undefined ? null : readLocalTime(spanAt(spans, nowAt).timing.rule, schedule, at(`${wall}Z`));
  const instant = local?.at ?? at(text ?? "2026-02-02T14:00:00Z");
  const row = run === undefined ? null : runRow(run);
  const createdAt = schedule.created_at.getTime();
  return {
    nowAt,
    schedule,
    tenant: { maintenance_from: null, maintenance_until: null, maintenance_reason: null, runs_per_day_max: null, ...tenant },
    watermark: nowAt,
    lookAt: nowAt,
    journal,
    spans,
    pauses: pausesOf(schedule, journal),
    lastPassAt: nowAt - 5_000,
    followedBy: null,
    at: instant,
    local,
    rule: ruleFactsAt(spanAt(spans, instant), instant),
    detail: row === null ? null : { ...toRun(row), attempts: [], timeline: [] },
    blocker: null,
    replacement: null,
    withdrawal: null,
    tenantRuns: null,
    auditedAt: null,
    others: [],
    previousAt: occurrenceBefore(spans, instant, createdAt),
    nextAt: occurrenceAfter(spans, instant, createdAt),
    spreadFrom: null,
    ...given,
    run: row,
  };
}
