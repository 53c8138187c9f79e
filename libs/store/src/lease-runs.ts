import type { Sql } from "./connect.ts";
import type { RunKey } from "./run-key.ts";

/** A run this executor may now call, under a lease. Instants in ms since 1970, by the database's clock. */
export interface LeasedRun extends RunKey {
  leaseToken: string;
  /** 1-based. */
  attempt: number;
  /** Earlier attempts that ended `limited`. */
  limitedBefore: number;
  scheduleId: string;
  scheduledFor: number;
  /** The call starts at this instant, not before. */
  dueAt: number;
  /** The end of the lease. */
  leasedUntil: number;
  endpointId: string;
  /** Together with the id: the version of the endpoint's settings and secrets to call with. */
  endpointRevision: number;
  target: unknown;
  input: unknown;
}

export type LeaseAnswer =
  | { verdict: "leased"; run: LeasedRun }
  /** Not due for longer than an executor holds runs: the message should come back nearer to the time. */
  | { verdict: "early"; key: RunKey; dueAt: number }
  /** Nothing to do: already leased by another, already final, or withdrawn by an edit. */
  | { verdict: "gone" | "canceled"; key: RunKey }
  /** The ledger has no such run of this tenant: the message was forged, or is older than the ledger's memory. */
  | { verdict: "unknown"; key: RunKey };

export interface LeaseOptions {
  keys: readonly RunKey[];
  executor: string;
  /** Length of a lease, counted from the start of the call. */
  leaseMs: number;
  /** Runs due later than this from now are not leased. */
  holdMsMax: number;
}

export interface LeaseResult {
  answers: LeaseAnswer[];
  /** The database's clock when it answered, in ms since 1970. */
  nowAt: number;
}

interface Row extends Omit<LeasedRun, "leaseToken"> {
  verdict: LeaseAnswer["verdict"];
  leaseToken: string | null;
  nowAt: number;
}

/**
 * ⑤ Leases runs for one executor: one statement for all runs of the received messages. Only a run that is waiting (`pending`, `queued`, `retrying`) and near its
 * instant is leased, so a message that is doubled, late or older than a retry finds nothing to do (rule X1). A future run of a revision that has since been edited, paused
 * or deleted is canceled here, should the edit have missed it. Keys that name no run are answered `unknown`.
 *
 * Index: primary keys of runs, schedules and endpoints. Locks: rows in id order, as every batched write. Bounded by `keys`.
 */
export async function leaseRuns(sql: Sql, { keys, executor, leaseMs, holdMsMax }: LeaseOptions): Promise<LeaseResult> {
  const rows = await sql<Row[]>`
    with waiting as materialized (
      select run.tenant_id, run.id, run.state, run.due_at, run.attempt, run.schedule_id, run.schedule_revision, run.scheduled_for, run.trigger_id
      from unnest(${keys.map((key) => key.tenantId)}::uuid[], ${keys.map((key) => key.runId)}::uuid[]) as given (tenant_id, id)
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
      order by run.id
      for update of run
    ), judged as materialized (
      select waiting.*, rule.endpoint_id, endpoint.revision as endpoint_revision, rule.target, rule.input,
        case
          when waiting.state not in ('pending', 'queued', 'retrying') then 'gone'
          when waiting.trigger_id = '' and waiting.attempt = 0
            and waiting.schedule_revision < rule.revision and waiting.due_at > rule.revised_at then 'canceled'
          when waiting.due_at > now() + ${holdMsMax}::float8 * interval '1 millisecond' then 'early'
          else 'leased'
        end as verdict
      from waiting
      join downbeat.schedules rule on rule.tenant_id = waiting.tenant_id and rule.id = waiting.schedule_id
      join downbeat.endpoints endpoint on endpoint.tenant_id = rule.tenant_id and endpoint.id = rule.endpoint_id
    ), leased as (
      update downbeat.runs run
      set state = 'running', attempt = run.attempt + 1, redrives = 0, lease_token = gen_random_uuid(), executor = ${executor},
        started_at = greatest(now(), run.due_at),
        sweep_at = greatest(now(), run.due_at) + ${leaseMs}::float8 * interval '1 millisecond'
      from judged
      where run.tenant_id = judged.tenant_id and run.id = judged.id and judged.verdict = 'leased'
      returning judged.*, run.lease_token, run.sweep_at as leased_until,
        case when judged.attempt = 0 then 0 else (
          select count(*)::int from downbeat.attempts earlier
          where earlier.tenant_id = judged.tenant_id and earlier.run_id = judged.id and earlier.outcome = 'limited') end as limited_before
    ), canceled as (
      update downbeat.runs run
      set state = 'canceled', reason = 'schedule_changed', finished_at = now(), sweep_at = null
      from judged
      where run.tenant_id = judged.tenant_id and run.id = judged.id and judged.verdict = 'canceled'
      returning run.tenant_id, run.id
    ), journal as (
      insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
      select tenant_id, id, ${executor}, 'canceled', 'schedule_changed' from canceled
    )
    select tenant_id as "tenantId", id as "runId", verdict, lease_token as "leaseToken", attempt + 1 as attempt, limited_before as "limitedBefore", schedule_id as "scheduleId",
      (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor", (extract(epoch from due_at) * 1000)::float8 as "dueAt",
      (extract(epoch from leased_until) * 1000)::float8 as "leasedUntil", endpoint_id as "endpointId", endpoint_revision as "endpointRevision",
      target, input, (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowAt"
    from leased
    union all
    select tenant_id, id, verdict, null, attempt + 1, 0, schedule_id, null, (extract(epoch from due_at) * 1000)::float8, null, endpoint_id,
      endpoint_revision, null, null, (extract(epoch from clock_timestamp()) * 1000)::float8
    from judged where verdict <> 'leased'`;
  const found = new Set(rows.map((row) => row.runId));
  const unknown = keys.filter((key) => !found.has(key.runId)).map((key): LeaseAnswer => ({ verdict: "unknown", key }));
  return { answers: [...rows.map(toAnswer), ...unknown], nowAt: rows.at(-1)?.nowAt ?? Number.NaN };
}

function toAnswer({ verdict, leaseToken, nowAt: _nowAt, ...row }: Row): LeaseAnswer {
  const key = { tenantId: row.tenantId, runId: row.runId };
  if (verdict === "leased" && leaseToken !== null) return { verdict, run: { ...row, leaseToken } };
  if (verdict === "early") return { verdict, key, dueAt: row.dueAt };
  return { verdict: verdict === "canceled" ? "canceled" : "gone", key };
}
