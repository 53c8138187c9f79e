import type { TransactionSql } from "./connect.ts";
import type { StoredZone } from "./read-zone-changes.ts";

/** Keeps zones as the present version of the time zone database has them. Index: primary key. Bounded by `zones`. */
export async function writeZoneChanges(sql: TransactionSql, zones: readonly StoredZone[]): Promise<void> {
  await sql`
    insert into downbeat.zone_changes (timezone, tzdata, from_at, until_at, offset_ms, changes)
    select timezone, tzdata, to_timestamp(from_ms / 1000), to_timestamp(until_ms / 1000), offset_ms, changes::jsonb
    from unnest(
      ${zones.map(({ timezone }) => timezone)}::text[], ${zones.map(({ tzdata }) => tzdata)}::text[], ${zones.map(({ record }) => record.from)}::float8[],
      ${zones.map(({ record }) => record.until)}::float8[], ${zones.map(({ record }) => record.offsetMs)}::int[],
      ${zones.map(({ record }) => JSON.stringify(record.changes))}::text[]
    ) as given (timezone, tzdata, from_ms, until_ms, offset_ms, changes)
    on conflict (timezone) do update
      set tzdata = excluded.tzdata, from_at = excluded.from_at, until_at = excluded.until_at, offset_ms = excluded.offset_ms, changes = excluded.changes`;
}
