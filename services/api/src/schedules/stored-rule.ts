import type { ScheduleTable } from "@downbeat/store/database.ts";
import type { StoredRule } from "@downbeat/store/lock-due.ts";
import type { StoredCalendar } from "@downbeat/store/load-calendars.ts";
import { type CalendarsById, toTiming } from "@downbeat/store/stored-timing.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Timing } from "@downbeat/timing/plan-due.ts";
import { showSpread } from "@downbeat/timing/read-duration.ts";
import type { Selectable } from "kysely";

export type ScheduleRuleRow = Selectable<ScheduleTable>;

/** The columns that `readStoredRule` reads. */
export const storedRuleColumns = [
  "kind",
  "cron_expression",
  "timezone",
  "interval_seconds",
  "anchor_at",
  "run_at",
  "starts_at",
  "ends_at",
  "dst_gap",
  "dst_overlap",
  "misfire",
  "grace_seconds",
  "spread_seconds",
  "spread_share",
  "calendar_ids",
] as const satisfies readonly (keyof ScheduleRuleRow)[];

/** A row of `schedules` as the claim reads it. */
export function readStoredRule(row: Pick<ScheduleRuleRow, (typeof storedRuleColumns)[number]>): StoredRule {
  return {
    kind: row.kind,
    cronExpression: row.cron_expression,
    timezone: row.timezone,
    intervalSeconds: row.interval_seconds,
    anchorAt: row.anchor_at?.getTime() ?? null,
    runAt: row.run_at?.getTime() ?? null,
    startsAt: row.starts_at?.getTime() ?? null,
    endsAt: row.ends_at?.getTime() ?? null,
    dstGap: row.dst_gap,
    dstOverlap: row.dst_overlap,
    misfire: row.misfire,
    graceSeconds: row.grace_seconds,
    spreadSeconds: row.spread_seconds,
    spreadShare: row.spread_share,
    calendarIds: row.calendar_ids,
  };
}

/** The timing of a stored schedule, with its calendars. Throws `UnusableRuleError` later, when the rule is evaluated and cannot be. */
export async function timingOf(database: TenantDatabase, row: ScheduleRuleRow): Promise<Timing> {
  return toTiming(row.id, readStoredRule(row), await findCalendars(database, row.calendar_ids));
}

/** Calendars by id. */
export async function findCalendars(database: TenantDatabase, ids: readonly string[]): Promise<CalendarsById> {
  if (ids.length === 0) return new Map();
  const rows: StoredCalendar[] = await database
    .selectFrom("downbeat.calendars")
    .select(["id", "name", "kind", "timezone", "entries"])
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** A stored spread as users write it. */
export function showStoredSpread({
  spread_seconds: seconds,
  spread_share: share,
}: Pick<ScheduleRuleRow, "spread_seconds" | "spread_share">): string | null {
  if (seconds !== null) return showSpread({ kind: "duration", windowMs: seconds * 1_000 });
  // Stored with the seven digits of a real.
  return share === null ? null : showSpread({ kind: "share", share: Number(share.toPrecision(6)) });
}
