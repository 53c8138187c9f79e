import type { Sql, TransactionSql } from "./connect.ts";
import { dueChannel } from "./listen-for-due.ts";
import type { RunKey } from "./run-key.ts";
import { liveRunStates } from "./run-states.ts";

/**
 * Gives the next run its turn, for each schedule of these runs, which have ended: the first that waits is sent with the next pass, and the dispatchers are woken for it. Where
 * another run is still under way, or the next one is on its way already, nothing happens, so asking once too often does no harm.
 *
 * Asked when a run's end is committed and again when a run has begun to wait: should the two happen in one moment, whichever is the later sees the other.
 *
 * Index: primary keys of runs and gates. Locks: waiting runs in id order. Bounded by `ended`.
 */
export async function wakeWaiting(sql: Sql | TransactionSql, ended: readonly RunKey[]): Promise<void> {
  const live = liveRunStates as unknown as string[];
  await sql`
    with schedules as (
      select distinct run.tenant_id, run.schedule_id
      from unnest(${ended.map((run) => run.tenantId)}::uuid[], ${ended.map((run) => run.runId)}::uuid[]) as given (tenant_id, id)
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
    ), next as (
      select head.tenant_id, head.id
      from schedules
      join downbeat.schedule_gates gate on gate.tenant_id = schedules.tenant_id and gate.schedule_id = schedules.schedule_id
      cross join lateral (
        select run.tenant_id, run.id
        from unnest(gate.waiting) with ordinality as named (id, place)
        join downbeat.runs run on run.tenant_id = gate.tenant_id and run.id = named.id
        where run.state = any(${live}::text[])
        order by place
        limit 1
      ) as head
      where not exists (
        select from unnest(gate.holders) as holder (id)
        join downbeat.runs run on run.tenant_id = gate.tenant_id and run.id = holder.id
        where run.state = any(${live}::text[]))
    ), woken as (
      update downbeat.runs run
      set sweep_at = now()
      from (
        select waiting.tenant_id, waiting.id
        from next
        join downbeat.runs waiting on waiting.tenant_id = next.tenant_id and waiting.id = next.id
        where waiting.state = 'pending' and waiting.reason = 'overlap'
        order by waiting.id
        for update of waiting
      ) as waiting
      where run.tenant_id = waiting.tenant_id and run.id = waiting.id
      returning run.id
    )
    select count(pg_notify(${dueChannel}, '')) from woken`;
}
