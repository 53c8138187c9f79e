import type { TransactionSql } from "./connect.ts";

/**
 * How many runs each of these tenants has left today (UTC), by tenant id. Locks the tenants' counters until the transaction ends, so that two dispatchers do not spend one
 * budget twice; in the order of ids, as every batched lock.
 *
 * Index: primary key. Bounded by `tenants`, which have a daily limit and are few.
 */
export async function lockBudgets(sql: TransactionSql, tenants: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  if (tenants.size === 0) return new Map();
  const rows = await sql<{ tenantId: string; runs: number }[]>`
    insert into downbeat.tenant_usage as usage (tenant_id, day)
    select id, (now() at time zone 'UTC')::date from unnest(${[...tenants.keys()].sort()}::uuid[]) as given (id) order by id
    on conflict (tenant_id, day) do update set runs = usage.runs
    returning tenant_id as "tenantId", runs`;
  return new Map(rows.map(({ tenantId, runs }) => [tenantId, Math.max(0, (tenants.get(tenantId) ?? 0) - runs)]));
}

/** Adds runs to the counters that `lockBudgets` locked, and forgets those of last month. */
export async function spendBudgets(sql: TransactionSql, spent: ReadonlyMap<string, number>): Promise<void> {
  if (spent.size === 0) return;
  await sql`
    with forgotten as (delete from downbeat.tenant_usage where tenant_id = any(${[...spent.keys()]}::uuid[]) and day < (now() - interval '31 days')::date)
    update downbeat.tenant_usage usage
    set runs = usage.runs + given.runs
    from unnest(${[...spent.keys()]}::uuid[], ${[...spent.values()]}::int[]) as given (tenant_id, runs)
    where usage.tenant_id = given.tenant_id and usage.day = (now() at time zone 'UTC')::date`;
}
