import type { TransactionSql } from "./connect.ts";

/** Where the ledger differs from a schedule's rule. */
export interface RecordedDifference {
  tenantId: string;
  scheduleId: string;
  /** The first occurrences without a row, and the first rows without an occurrence; RFC 3339. */
  lost: readonly string[];
  unexpected: readonly string[];
  lostCount: number;
  unexpectedCount: number;
}

/**
 * Writes differences into the journals of their schedules, and answers the places of those that are new. One that an earlier round told already is still in the window an hour later and
 * is not told again.
 *
 * Index: the schedules' events. Bounded by `differences`.
 */
export async function recordDifferences(sql: TransactionSql, differences: readonly RecordedDifference[]): Promise<Set<number>> {
  if (differences.length === 0) return new Set();
  const details = differences.map(({ lost, unexpected, lostCount, unexpectedCount }) =>
    JSON.stringify({ lost, unexpected, lost_count: lostCount, unexpected_count: unexpectedCount }),
  );
  const told = await sql<{ place: number }[]>`
    with given as materialized (
      select tenant_id, schedule_id, detail::jsonb as detail, place
      from unnest(
        ${differences.map(({ tenantId }) => tenantId)}::uuid[], ${differences.map(({ scheduleId }) => scheduleId)}::uuid[], ${details}::text[]
      ) with ordinality as given (tenant_id, schedule_id, detail, place)
      where not exists (
        select from downbeat.schedule_events event
        where event.tenant_id = given.tenant_id and event.schedule_id = given.schedule_id and event.event = 'audit_difference'
          and event.detail @> jsonb_build_object('lost', given.detail::jsonb->'lost', 'unexpected', given.detail::jsonb->'unexpected')
      )
    ), journal as (
      insert into downbeat.schedule_events (tenant_id, schedule_id, actor, event, detail)
      select tenant_id, schedule_id, 'dispatcher', 'audit_difference', detail from given
    )
    select place::int - 1 as place from given`;
  return new Set(told.map(({ place }) => place));
}
