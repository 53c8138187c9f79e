import type { Clock } from "@downbeat/runtime/clock.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { inTransaction } from "@downbeat/store/in-transaction.ts";
import { loadCalendars } from "@downbeat/store/load-calendars.ts";
import { moveSchedules } from "@downbeat/store/move-schedules.ts";
import type { ScheduleCursor } from "@downbeat/store/read-audited.ts";
import { readScheduled } from "@downbeat/store/read-scheduled.ts";
import { readZoneChanges, type StoredZone } from "@downbeat/store/read-zone-changes.ts";
import { LostTurnError, saveTurn } from "@downbeat/store/save-turn.ts";
import { takeTurn } from "@downbeat/store/take-turn.ts";
import { writeZoneChanges } from "@downbeat/store/write-zone-changes.ts";
import { zonesInUse } from "@downbeat/store/zones-in-use.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { recordZone } from "@downbeat/timing/zone-moves.ts";
import { zoneOf } from "@downbeat/timing/zone.ts";
import { givingWay } from "./give-way.ts";
import { type ChangedZones, compareZones, type MoveOptions, type PlannedMove, planMove } from "./plan-moves.ts";

export interface WatchTzdataOptions {
  /** A connection of its own: a claim never waits for it. */
  sql: Sql;
  clock: Clock;
  log: Log;
  /** Names this process. */
  dispatcher: string;
  signal: AbortSignal;
  /** Version of the time zone database of this process. Null: it does not say, and nothing can be compared. */
  version: string | null;
  /** Schedules of one step. */
  schedulesMax?: number;
}

export interface TzdataCounts {
  /** Schedules in changed zones that were looked at. */
  schedules: number;
  moved: number;
  /** True when the step ended a round. */
  isFinished: boolean;
}

interface TzdataProgress {
  after: ScheduleCursor | null;
  /** By changed zone. */
  zones: Record<string, { tzdata: string; schedules: number; moved: number }>;
}

const dayMs = 86_400_000;

/** What is kept of each zone: a little of the past, for what happens around a change, and far enough ahead for an installation that was away for most of a year. */
const recordedBeforeMs = 2 * dayMs;
const recordedAheadMs = 400 * dayMs;

/** Zones are written anew, and those that came into use are found, this often. */
const everyMs = dayMs;

/**
 * One step of the watch over the time zone database. Once a day it writes down what the present version says of the zones in use. When a dispatcher comes with another version, the two are
 * compared: schedules whose occurrences of the next 60 days move are told of, in their journals and with a log line for each zone, and go on at their slot's new instant; what was claimed
 * before stays as it is. Answers what it did, or null when there is nothing to do: it is not due, another dispatcher is at it, or the signal aborted.
 *
 * Where no zone in use changed, which is so with most versions, no schedule is looked at. Steps are done as those of the audit: in order, saved, taken up by whoever comes next.
 */
export async function watchTzdata(options: WatchTzdataOptions): Promise<TzdataCounts | null> {
  const { sql, log, dispatcher, signal, version } = options;
  if (version === null) return null;
  const turn = await takeTurn<TzdataProgress>(sql, { key: "tzdata", holder: dispatcher, subject: version, everyMs });
  if (turn === null) return null;
  const nowAt = Math.floor(turn.nowAt);
  const stored = await readZoneChanges(sql);
  const { changed, unknown } = compareZones(stored, version, nowAt);
  const batch = await planBatch(options, turn.progress?.after ?? null, { changed, version, nowAt });
  const records = batch.isLast ? await recordZones(options, stored, version, nowAt) : [];
  if (signal.aborted) return null;
  const progress: TzdataProgress = { after: batch.last, zones: addUp(turn.progress, changed, batch.moves) };
  try {
    await inTransaction(sql, async (transaction) => {
      await saveTurn(transaction, { key: "tzdata", holder: dispatcher, progress, isFinished: batch.isLast });
      if (batch.moves.length > 0) await moveSchedules(transaction, batch.moves, version);
      if (batch.isLast) await writeZoneChanges(transaction, records);
    });
  } catch (error) {
    if (error instanceof LostTurnError) return null;
    throw error;
  }
  if (batch.isLast) {
    for (const timezone of unknown) {
      log.warn({ timezone, tzdata: version }, "a time zone is not known any more: its schedules are paused when they come due");
    }
    for (const [timezone, { tzdata: former, schedules, moved }] of Object.entries(progress.zones)) {
      log.warn(
        { timezone, former, tzdata: version, schedules, moved, dispatcher },
        "a new time zone database moves occurrences of the next 60 days",
      );
    }
  }
  return { schedules: batch.moves.length, moved: batch.moves.filter(isMoved).length, isFinished: batch.isLast };
}

interface Batch {
  last: ScheduleCursor | null;
  isLast: boolean;
  moves: PlannedMove[];
}

async function planBatch(
  { sql, clock, signal, schedulesMax = 1_000 }: WatchTzdataOptions,
  after: ScheduleCursor | null,
  move: MoveOptions,
): Promise<Batch> {
  if (move.changed.size === 0) return { last: null, isLast: true, moves: [] };
  const schedules = await readScheduled(sql, { after, schedulesMax });
  const calendars = await loadCalendars(sql, [...new Set(schedules.flatMap(({ calendarIds }) => calendarIds ?? []))]);
  const giveWay = givingWay(clock);
  const moves: PlannedMove[] = [];
  for (const schedule of schedules) {
    if (signal.aborted) break;
    const planned = planMove(schedule, calendars, move);
    if (planned !== null) moves.push(planned);
    await giveWay();
  }
  return { last: schedules.at(-1) ?? after, isLast: schedules.length < schedulesMax, moves };
}

/** The zones in use, and those that once were, as the present version has them. */
async function recordZones(
  { sql, clock }: WatchTzdataOptions,
  stored: readonly StoredZone[],
  version: string,
  nowAt: Instant,
): Promise<StoredZone[]> {
  const former = new Map(stored.map((zone) => [zone.timezone, zone.record]));
  const giveWay = givingWay(clock);
  const records: StoredZone[] = [];
  for (const timezone of new Set([...(await zonesInUse(sql)), ...former.keys()])) {
    const record = recordIfKnown(timezone, nowAt) ?? former.get(timezone);
    if (record !== undefined) records.push({ timezone, tzdata: version, record });
    await giveWay();
  }
  return records;
}

function recordIfKnown(timezone: string, nowAt: Instant) {
  try {
    return recordZone(zoneOf(timezone), nowAt - recordedBeforeMs, nowAt + recordedAheadMs);
  } catch (error) {
    if (error instanceof UnusableRuleError) return undefined;
    throw error;
  }
}

function addUp(progress: TzdataProgress | null, changed: ChangedZones, moves: readonly PlannedMove[]): TzdataProgress["zones"] {
  const zones = { ...progress?.zones };
  for (const [timezone, { tzdata }] of changed) {
    const { schedules = 0, moved = 0 } = zones[timezone] ?? {};
    const own = moves.filter(({ timezones }) => timezones.includes(timezone));
    zones[timezone] = { tzdata, schedules: schedules + own.length, moved: moved + own.filter(isMoved).length };
  }
  return zones;
}

function isMoved({ detail }: PlannedMove): boolean {
  return detail !== null;
}
