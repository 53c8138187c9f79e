import type { Sql } from "./connect.ts";

/** The zones of cron schedules and calendars, as users wrote them. Reads every schedule, which is why it is asked about once a day. */
export async function zonesInUse(sql: Sql): Promise<string[]> {
  const rows = await sql<{ timezone: string }[]>`
    select timezone from downbeat.schedules where kind = 'cron' and deleted_at is null
    union
    select timezone from downbeat.calendars
    order by timezone`;
  return rows.map(({ timezone }) => timezone);
}
