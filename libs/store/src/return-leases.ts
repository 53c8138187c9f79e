import type { Sql } from "./connect.ts";
import type { Lease } from "./renew-leases.ts";

/**
 * Gives back leases of runs that were not called: a draining executor hands them to the next one. The attempt is unspent.
 *
 * Index: primary key. Locks: rows in id order. Bounded by `leases`.
 */
export async function returnLeases(sql: Sql, leases: readonly Lease[], lostAfterMs: number): Promise<void> {
  await sql`
    update downbeat.runs run
    set state = 'queued', attempt = run.attempt - 1, lease_token = null, executor = null, started_at = null,
      sweep_at = greatest(run.due_at, now()) + ${lostAfterMs}::float8 * interval '1 millisecond'
    from (
      select held.tenant_id, held.id
      from unnest(
        ${leases.map((lease) => lease.tenantId)}::uuid[], ${leases.map((lease) => lease.runId)}::uuid[],
        ${leases.map((lease) => lease.leaseToken)}::uuid[]
      ) as given (tenant_id, id, lease_token)
      join downbeat.runs held on held.tenant_id = given.tenant_id and held.id = given.id
      where held.lease_token = given.lease_token and held.state = 'running'
      order by held.id
      for update of held
    ) as held
    where run.tenant_id = held.tenant_id and run.id = held.id`;
}
