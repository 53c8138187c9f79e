import type { MovedSchedule } from "@downbeat/store/move-schedules.ts";
import type { StoredZone } from "@downbeat/store/read-zone-changes.ts";
import type { ScheduledRule } from "@downbeat/store/read-scheduled.ts";
import { type CalendarsById, toTiming } from "@downbeat/store/stored-timing.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import { occurrenceAt, type Timing } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { spreadFraction, spreadOffsetMs } from "@downbeat/timing/spread.ts";
import { disagreements, findMoves, moveWatermark, type Span, zoneFromRecord } from "@downbeat/timing/zone-moves.ts";
import { type Zone, type ZoneLookup, zoneOf } from "@downbeat/timing/zone.ts";

/** A zone about whose near future two versions of the time zone database disagree. */
export interface ChangedZone {
  /** As the former version, `tzdata`, has it. */
  before: Zone;
  tzdata: string;
  spans: Span[];
}

/** Changed zones, by the name users wrote. */
export type ChangedZones = ReadonlyMap<string, ChangedZone>;

/** How far ahead moves are looked for. */
export const movesWithinMs = 60 * 86_400_000;

/** Instants of each kind that a schedule's journal names. */
const namedMax = 5;

/** Compares what was stored with the version of this process. `unknown` are zones that it does not have. */
export function compareZones(stored: readonly StoredZone[], version: string, nowAt: Instant): { changed: ChangedZones; unknown: string[] } {
  const changed = new Map<string, ChangedZone>();
  const unknown: string[] = [];
  for (const { timezone, tzdata, record } of stored) {
    if (tzdata === version) continue;
    try {
      const before = zoneFromRecord(timezone, record);
      const spans = disagreements(before, zoneOf(timezone), nowAt, Math.min(nowAt + movesWithinMs, record.until));
      if (spans.length > 0) changed.set(timezone, { before, tzdata, spans });
    } catch (error) {
      if (!(error instanceof UnusableRuleError)) throw error;
      unknown.push(timezone);
    }
  }
  return { changed, unknown };
}

export interface PlannedMove extends MovedSchedule {
  /** The zones that concern the schedule. */
  timezones: string[];
}

export interface MoveOptions {
  changed: ChangedZones;
  /** Of the time zone database of this process. */
  version: string;
  nowAt: Instant;
}

/**
 * What a new version means for a schedule: which of its occurrences move, and where it goes on. Null when none of its zones changed, it has nothing to come, or it cannot be evaluated, which
 * the next claim finds. A schedule that is put off, or paused until some time, is looked at when it would have been.
 */
export function planMove(schedule: ScheduledRule, calendars: CalendarsById, { changed, version, nowAt }: MoveOptions): PlannedMove | null {
  const { tenantId, scheduleId, kind, timezone, calendarIds, watermark, nextRunAt } = schedule;
  const own = kind === "cron" ? [timezone] : [];
  const timezones = [...own, ...(calendarIds ?? []).flatMap((id) => calendars.get(id)?.timezone ?? [])].filter((name) => changed.has(name));
  if (timezones.length === 0 || watermark === null || nextRunAt === null) return null;
  const before: ZoneLookup = (name) => changed.get(name)?.before ?? zoneOf(name);
  const spans = timezones.flatMap((name) => changed.get(name)?.spans ?? []);
  try {
    const timing = toTiming(scheduleId, schedule, calendars);
    const { gone, come } = findMoves(timing.rule, { before, spans, from: nowAt, until: nowAt + movesWithinMs, namedMax });
    const moved = moveWatermark(timing.rule, watermark, before);
    const next = moved === null ? null : { scheduledFor: moved, nextRunAt: lookAt(schedule, timing, before, moved) };
    const isTold = gone.length + come.length > 0 || next !== null;
    const detail = {
      timezones: [...new Set(timezones)],
      tzdata: version,
      tzdata_before: changed.get(timezones[0] ?? "")?.tzdata,
      gone: gone.map(toText),
      come: come.map(toText),
      // Occurrences before it were evaluated with the former version.
      from: toText(moved ?? watermark),
    };
    return { tenantId, scheduleId, watermark, next, detail: isTold ? detail : null, timezones: [...new Set(timezones)] };
  } catch (error) {
    if (error instanceof UnusableRuleError) return null;
    throw error;
  }
}

function lookAt(
  { isPaused, watermark, nextRunAt, scheduleId }: ScheduledRule,
  timing: Timing,
  before: ZoneLookup,
  moved: Instant,
): Instant {
  const { dueAt } = occurrenceAt(timing, moved);
  const wasAt = watermark ?? moved;
  const wasNext = timing.spread === null ? null : nextOccurrence(timing.rule, wasAt, before);
  const wasDueAt = wasAt + spreadOffsetMs(timing.spread, spreadFraction(scheduleId), wasNext === null ? null : wasNext - wasAt);
  const lookedAt = nextRunAt ?? dueAt;
  if (isPaused) return lookedAt;
  return lookedAt > wasDueAt ? Math.max(lookedAt, dueAt) : dueAt;
}

function toText(at: Instant): string {
  return new Date(at).toISOString();
}
