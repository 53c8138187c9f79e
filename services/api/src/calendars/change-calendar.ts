import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { StoredCalendar } from "@downbeat/store/load-calendars.ts";
import { toTiming } from "@downbeat/store/stored-timing.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { firstDueAfter, type Timing } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import { sql as fragment } from "kysely";
import type { Caller } from "../http/authenticate.ts";
import type { CalendarChanges } from "./calendar-schemas.ts";
import { checkCalendar } from "./check-calendar.ts";
import { databaseNow } from "../schedules/create-schedule.ts";
import { lockCalendar } from "./lock-calendars.ts";
import { type LockedSchedule, lockSchedule, type ScheduleKey } from "../schedules/lock-schedule.ts";
import { countWithdrawable, lockWithdrawable } from "../schedules/lock-withdrawable.ts";
import { Problem } from "../http/problem.ts";
import { calendarNotFound, type CalendarRow, countUsers, entriesColumn, selectCalendars, selectUsers } from "./read-calendars.ts";
import { type ScheduleRow, selectSchedules } from "../schedules/read-schedules.ts";
import { actorOf, recordScheduleEvent } from "../schedules/schedule-events.ts";
import { findCalendars, readStoredRule, type ScheduleRuleRow } from "../schedules/stored-rule.ts";
import { applyEdit } from "../schedules/update-schedule.ts";
import { wakeDispatcher } from "../schedules/wake-dispatcher.ts";

/** Schedules that one change edits at most: a few seconds of one transaction, in which their due rows are locked. */
const schedulesMax = 1_000;

/** Journals and answers name a calendar's entries up to this many. */
const shownEntriesMax = 50;

export interface ChangeCalendarOptions {
  caller: Caller;
  /** Only look: what would change. */
  isDryRun: boolean;
}

/** What a change of a calendar does, or would do, to one schedule that uses it. */
export interface CalendarEffect {
  schedule: ScheduleRow;
  nextAfter: Occurrence | null;
  /** True: nothing is left of it within five years. */
  isCompleted: boolean;
}

export interface CalendarChange {
  effects: CalendarEffect[];
  /** Runs claimed ahead of their time that are withdrawn and decided about anew. */
  withdrawn: number;
}

/**
 * Changes a calendar. A new name is only a name. New entries, another kind or zone are an edit of every schedule that uses the calendar, all of them or none: what is due already is
 * untouched, what was claimed ahead is withdrawn, and the schedule goes on with the calendar as it is now. One of which nothing is left is completed; one that was completed and
 * has something left again goes on.
 *
 * Locks: the calendar's row, so that changes of one calendar take turns; the schedules in the order of their ids, each as every edit locks it; the calendar against schedules that are about to
 * use it; the runs to be withdrawn in the order of theirs. Only then is anything written, and the calendar last: what is due already is decided with its old entries.
 */
export async function changeCalendar(
  database: TenantDatabase,
  calendarId: string,
  changes: CalendarChanges,
  { caller, isDryRun }: ChangeCalendarOptions,
): Promise<CalendarChange> {
  checkCalendar(changes);
  const before = await lockCalendarRow(database, calendarId);
  const after: CalendarRow = {
    ...before,
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.kind === undefined ? {} : { kind: changes.kind }),
    ...(changes.timezone === undefined ? {} : { timezone: changes.timezone }),
    ...(changes.entries === undefined ? {} : { entries: changes.entries }),
  };
  const isRetimed = !isDeepStrictEqual(timeOf(before), timeOf(after));
  const change = isRetimed ? await retimeSchedules(database, { before, after, caller, isDryRun }) : { effects: [], withdrawn: 0 };
  if (!isDryRun && (isRetimed || before.name !== after.name)) await writeCalendar(database, after);
  return change;
}

function timeOf({ kind, timezone, entries }: CalendarRow) {
  return { kind, timezone, entries };
}

/** Deletes a calendar that no schedule uses. */
export async function deleteCalendar(database: TenantDatabase, calendarId: string): Promise<void> {
  const calendar = await lockCalendarRow(database, calendarId);
  await lockCalendar(database, calendarId);
  const users = await selectUsers(database, calendar)
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "rule.tenant_id")
    .select(["rule.name", "tenant.slug"])
    .orderBy("rule.name")
    .limit(5)
    .execute();
  if (users.length > 0) {
    const count = await countUsers(database, calendar);
    const names = users.map(({ name, slug }) => `"${name}"${calendar.tenant_id === null ? ` of ${slug}` : ""}`).join(", ");
    const others = count > users.length ? ` and ${count - users.length} more` : "";
    const schedules = count === 1 ? "1 schedule uses" : `${count} schedules use`;
    throw new Problem("in_use", {
      detail: `${schedules} the calendar "${calendar.name}": ${names}${others}. Take it out of their \`calendars\` first.`,
    });
  }
  await database.deleteFrom("downbeat.calendars").where("id", "=", calendarId).execute();
}

async function lockCalendarRow(database: TenantDatabase, calendarId: string): Promise<CalendarRow> {
  const row = await selectCalendars(database).where("calendar.id", "=", calendarId).forNoKeyUpdate("calendar").executeTakeFirst();
  if (row === undefined) throw calendarNotFound();
  return row;
}

async function writeCalendar(database: TenantDatabase, { id, name, kind, timezone, entries }: CalendarRow): Promise<void> {
  await database
    .updateTable("downbeat.calendars")
    .set({ name, kind, timezone, entries: entriesColumn(entries), updated_at: fragment`now()` })
    .where("id", "=", id)
    .execute();
}

interface Retiming extends ChangeCalendarOptions {
  before: CalendarRow;
  after: CalendarRow;
}

async function retimeSchedules(database: TenantDatabase, retiming: Retiming): Promise<CalendarChange> {
  const { before, isDryRun } = retiming;
  return isDryRun
    ? foreseeRetiming(database, retiming, await readUsers(database, before))
    : editSchedules(database, retiming, await lockUsers(database, before));
}

async function foreseeRetiming(database: TenantDatabase, { after }: Retiming, users: ScheduleRow[]): Promise<CalendarChange> {
  const nowAt = await databaseNow(database);
  const timings = await timingsWith(database, after, users);
  const effects: CalendarEffect[] = [];
  for (const schedule of users) {
    effects.push(...effectOn(schedule, { timing: timings.get(schedule.id), nowAt }));
    // Of a calendar that leaves next to nothing, each takes a good part of a second to find out; other requests go first.
    await setImmediate();
  }
  const seen = users.map((rule): LockedSchedule => ({ rule, watermark: null, editedAt: new Date(nowAt) }));
  const withdrawable = await countWithdrawable(database, seen);
  return { effects, withdrawn: [...withdrawable.values()].reduce((sum, count) => sum + count, 0) };
}

async function editSchedules(
  database: TenantDatabase,
  { before, after, caller }: Retiming,
  locked: LockedSchedule[],
): Promise<CalendarChange> {
  const users = new Map((await readUsers(database, before)).map((row) => [row.id, row]));
  const timings = await timingsWith(
    database,
    after,
    locked.map(({ rule }) => rule),
  );
  const withdrawable = await lockWithdrawable(database, locked);
  const change: CalendarChange = { effects: [], withdrawn: 0 };
  const calendar = { id: before.id, name: after.name, ...changedParts(before, after) };
  for (const schedule of locked) {
    const { rule, editedAt } = schedule;
    const [timing, row] = [timings.get(rule.id), users.get(rule.id)];
    const [effect] = row === undefined ? [] : effectOn(row, { timing, nowAt: editedAt.getTime() });
    if (timing === undefined || effect === undefined) continue;
    const counted = { ...schedule, withdrawable: withdrawable.get(rule.id) ?? 0 };
    change.withdrawn += await applyEdit(database, counted, { columns: {}, timing, isRetimed: true });
    const key = { tenantId: rule.tenant_id, scheduleId: rule.id };
    const detail = { calendar, ...(effect.isCompleted ? { completed: true } : {}) };
    await recordScheduleEvent(database, key, {
      actor: actorOf(caller),
      event: "updated",
      reason: `calendar ${after.name} changed`,
      detail,
    });
    change.effects.push(effect);
  }
  await wakeDispatcher(database);
  return change;
}

/**
 * What the schedule goes on with. None where nothing is to be done: it has ended and stays so, or its rule cannot be evaluated, which is for the dispatcher to find and pause.
 */
function effectOn(schedule: ScheduleRow, { timing, nowAt }: { timing: Timing | undefined; nowAt: Instant }): CalendarEffect[] {
  const isPaused = schedule.paused_at !== null;
  if (timing === undefined || schedule.completed_reason === "max_runs") return [];
  const nextAfter = nextOf(timing, schedule.paused_at?.getTime() ?? nowAt);
  if (nextAfter === undefined) return [];
  if (isPaused) return [{ schedule, nextAfter: null, isCompleted: false }];
  // Not so a one-off that is only completed because its one occurrence was claimed ahead.
  const hasEnded = schedule.completed_at !== null && schedule.next_run_at === null;
  return hasEnded && nextAfter === null ? [] : [{ schedule, nextAfter, isCompleted: nextAfter === null }];
}

function nextOf(timing: Timing, after: Instant): Occurrence | null | undefined {
  try {
    return firstDueAfter(timing, after);
  } catch (error) {
    if (error instanceof UnusableRuleError) return undefined;
    throw error;
  }
}

/** Locks every schedule that uses the calendar, in the order of ids, and then the calendar against others that are about to use it. */
async function lockUsers(database: TenantDatabase, calendar: CalendarRow): Promise<LockedSchedule[]> {
  const locked = new Map<string, LockedSchedule>();
  const lockNew = async () => {
    for (const key of await listUsers(database, calendar)) {
      if (locked.has(key.scheduleId)) continue;
      const schedule = await lockUser(database, key, calendar.id);
      if (schedule !== undefined) locked.set(key.scheduleId, schedule);
    }
  };
  await lockNew();
  await lockCalendar(database, calendar.id);
  // Those that began to use it meanwhile have committed now, and no further one can.
  await lockNew();
  return [...locked.values()];
}

/** Nothing when the schedule was deleted, or given other calendars, while its lock was waited for. */
async function lockUser(database: TenantDatabase, key: ScheduleKey, calendarId: string): Promise<LockedSchedule | undefined> {
  try {
    const locked = await lockSchedule(database, key);
    return locked.rule.calendar_ids.includes(calendarId) ? locked : undefined;
  } catch (error) {
    if (error instanceof Problem && error.code === "not_found") return undefined;
    throw error;
  }
}

/** The schedules that use the calendar, by id. Refused where they are more than one change may edit. */
async function listUsers(database: TenantDatabase, calendar: CalendarRow): Promise<ScheduleKey[]> {
  const keys = await selectUsers(database, calendar)
    .select(["rule.tenant_id as tenantId", "rule.id as scheduleId"])
    .orderBy("rule.id")
    .limit(schedulesMax + 1)
    .execute();
  if (keys.length <= schedulesMax) return keys;
  const count = await countUsers(database, calendar);
  throw new Problem("too_many_schedules", {
    detail: `${count} schedules use the calendar "${calendar.name}", and one change may edit ${schedulesMax} at most. Make a calendar with the new entries, and give it to the schedules a part at a time.`,
  });
}

async function readUsers(database: TenantDatabase, calendar: CalendarRow): Promise<ScheduleRow[]> {
  const keys = await listUsers(database, calendar);
  if (keys.length === 0) return [];
  return selectSchedules(database, calendar.tenant_id ?? undefined)
    .where(
      "rule.id",
      "in",
      keys.map(({ scheduleId }) => scheduleId),
    )
    .orderBy("rule.id")
    .execute();
}

/** Timings of schedules by id, with this calendar as it is to be. */
async function timingsWith(database: TenantDatabase, after: CalendarRow, rules: readonly ScheduleRuleRow[]): Promise<Map<string, Timing>> {
  const calendars = new Map(await findCalendars(database, [...new Set(rules.flatMap((rule) => rule.calendar_ids))]));
  const changed: StoredCalendar = { id: after.id, name: after.name, kind: after.kind, timezone: after.timezone, entries: after.entries };
  calendars.set(after.id, changed);
  return new Map(rules.map((rule) => [rule.id, toTiming(rule.id, readStoredRule(rule), calendars)]));
}

/** What changed of a calendar, for the journals of its schedules. */
function changedParts(before: CalendarRow, after: CalendarRow): { before: Record<string, unknown>; after: Record<string, unknown> } {
  const parts = (["kind", "timezone", "entries"] as const).filter((part) => !isDeepStrictEqual(before[part], after[part]));
  const pick = (from: CalendarRow) => Object.fromEntries(parts.map((part) => [part, part === "entries" ? shownEntries(from) : from[part]]));
  return { before: pick(before), after: pick(after) };
}

/** A thousand entries in the journals of a thousand schedules would be megabytes: the number then says enough. */
function shownEntries({ entries }: CalendarRow): readonly string[] | string {
  return entries.length <= shownEntriesMax ? entries : `${entries.length} entries`;
}
