import type { Sql, TransactionSql } from "./connect.ts";

/** A calendar as the table has it; `parseCalendar` makes it usable. */
export interface StoredCalendar {
  id: string;
  name: string;
  kind: "allow" | "blackout";
  timezone: string;
  entries: readonly string[];
}

/** Calendars by id. Index: primary key. Bounded by `ids`, which are few: most schedules have none. */
export async function loadCalendars(sql: Sql | TransactionSql, ids: readonly string[]): Promise<Map<string, StoredCalendar>> {
  if (ids.length === 0) return new Map();
  const rows = await sql<StoredCalendar[]>`
    select id, name, kind, timezone, entries from downbeat.calendars where id = any(${ids}::uuid[])`;
  return new Map(rows.map((row) => [row.id, row]));
}
