import type { Sql } from "./connect.ts";
import type { RunKey } from "./run-key.ts";

/**
 * ③ Notes that the queue has accepted messages for these runs. A run that an executor has already leased, or that is being written right now, is skipped: it is further
 * on, and waiting for it is what used to deadlock marks against leases under load.
 *
 * Index: primary key. Locks: rows in id order, SKIP LOCKED. The sweep asks again when a run has not started `lostAfterMs` after it was due, twice as
 * late after each time it was sent (rule D9b).
 */
export async function markQueued(sql: Sql, keys: readonly RunKey[], lostAfterMs: number): Promise<void> {
  await sql`
    update downbeat.runs run
    set state = 'queued', queued_at = now(),
      sweep_at = greatest(run.due_at, now()) + ${lostAfterMs}::float8 * (2 ^ run.redrives) * interval '1 millisecond'
    from (
      select candidate.tenant_id, candidate.id
      from unnest(${keys.map((key) => key.tenantId)}::uuid[], ${keys.map((key) => key.runId)}::uuid[]) as given (tenant_id, id)
      join downbeat.runs candidate on candidate.tenant_id = given.tenant_id and candidate.id = given.id
      where candidate.state in ('pending', 'retrying')
      order by candidate.id
      for update of candidate skip locked
    ) as sent
    where run.tenant_id = sent.tenant_id and run.id = sent.id`;
}
