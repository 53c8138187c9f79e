import type { ZoneRecord } from "@downbeat/timing/zone-moves.ts";
import type { Sql } from "./connect.ts";

/** A zone as some version of the time zone database had it. */
export interface StoredZone {
  timezone: string;
  tzdata: string;
  record: ZoneRecord;
}

/** All zones that were ever in use. Bounded by the time zone database, which has some 600 names. */
export async function readZoneChanges(sql: Sql): Promise<StoredZone[]> {
  const rows = await sql<(ZoneRecord & Pick<StoredZone, "timezone" | "tzdata">)[]>`
    select timezone, tzdata, (extract(epoch from from_at) * 1000)::float8 as from, (extract(epoch from until_at) * 1000)::float8 as until,
      offset_ms as "offsetMs", changes
    from downbeat.zone_changes
    order by timezone`;
  return rows.map(({ timezone, tzdata, ...record }) => ({ timezone, tzdata, record }));
}
