import type { Sql } from "./connect.ts";
import type { RunKey } from "./run-key.ts";

export interface Lease extends RunKey {
  leaseToken: string;
}

/**
 * Extends leases to `leaseMs` from now. Answers the tokens still held; a run whose token is missing was taken by the sweep and must not be called (rule X3).
 *
 * Index: primary key. Locks: rows in id order. Bounded by `leases`.
 */
export async function renewLeases(sql: Sql, leases: readonly Lease[], leaseMs: number): Promise<Set<string>> {
  const rows = await sql<{ leaseToken: string }[]>`
    update downbeat.runs run
    set sweep_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
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
    where run.tenant_id = held.tenant_id and run.id = held.id
    returning run.lease_token as "leaseToken"`;
  return new Set(rows.map((row) => row.leaseToken));
}
