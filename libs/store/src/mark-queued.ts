import type { Sql, TransactionSql } from "./connect.ts";
import type { RunKey } from "./run-key.ts";

/** A run as it was when its message was made. */
export interface SentRun extends RunKey {
  attempt: number;
}

/**
 * ③ Notes that the queue has accepted messages for these runs. A run that an executor has already leased, or that is being written right now, is skipped: it is further
 * on, and waiting for it is what used to deadlock marks against leases under load. So is one whose attempt has failed meanwhile, and one that an executor has received and told to
 * wait for its turn (`overlap`): marked, they would wait for the sweep of lost runs instead of for their own instant.
 *
 * Index: primary key. Locks: rows in id order, SKIP LOCKED. The sweep asks again when a run has not started `lostAfterMs` after it was due, twice as
 * late after each time it was sent (rule D9b).
 */
export async function markQueued(sql: Sql | TransactionSql, sent: readonly SentRun[], lostAfterMs: number): Promise<void> {
  await sql`
    update downbeat.runs run
    set state = 'queued', queued_at = now(),
      sweep_at = greatest(run.due_at, now()) + ${lostAfterMs}::float8 * (2 ^ run.redrives) * interval '1 millisecond'
    from (
      select candidate.tenant_id, candidate.id
      from unnest(
        ${sent.map((run) => run.tenantId)}::uuid[], ${sent.map((run) => run.runId)}::uuid[], ${sent.map((run) => run.attempt)}::smallint[]
      ) as given (tenant_id, id, attempt)
      join downbeat.runs candidate on candidate.tenant_id = given.tenant_id and candidate.id = given.id
      where candidate.state in ('pending', 'retrying') and candidate.attempt = given.attempt and candidate.reason is distinct from 'overlap'
      order by candidate.id
      for update of candidate skip locked
    ) as sent
    where run.tenant_id = sent.tenant_id and run.id = sent.id`;
}
