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
  /** '' for an occurrence of the rule, else the id of the request that asked for the run. */
  triggerId: string;
  scheduledFor: number;
  /** The call starts at this instant, not before. */
  dueAt: number;
  /** No retry is planned beyond this: the schedule's next occurrence. Null: no such limit. */
  retryUntil: number | null;
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
  /** Another run of its schedule is under way, or was when this was asked: `settleHeld` decides, at its instant. */
  | { verdict: "held"; key: RunKey; dueAt: number }
  /** Nothing to do: already leased by another, already final, withdrawn by an edit, or ended just now because it must not start any more. */
  | { verdict: "gone" | "canceled" | "missed" | "skipped"; key: RunKey }
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
 * instant is leased, so a message that is doubled, late or older than a retry finds nothing to do (rule X1). What must not start any more ends here: a future run of a revision
 * that has since been edited, paused or deleted is canceled, should the edit have missed it; an occurrence that waited longer than the schedule's grace is missed; one that comes due
 * under maintenance is skipped. Keys that name no run are answered `unknown`.
 *
 * A run that may not run beside others of its schedule passes the schedule's gate: it becomes the holder if no run that the gate names is still under way. Where one is, or several
 * runs of a schedule are asked for at once, the answer is `held`, and the rest is for `settleHeld`. The gate's row is locked while that is decided, and a holder counts as under way
 * unless the statement's snapshot has seen it end (one that is newer than the snapshot has not been seen at all), so two executors cannot both be let in. Exempt are one-offs, which have no other run, and backfills, which have their own limit.
 *
 * Index: primary keys of runs, schedules, endpoints, tenants and gates. Locks: runs in id order, as every batched write, then gates in schedule order. Bounded by `keys`.
 */
export async function leaseRuns(sql: Sql, { keys, executor, leaseMs, holdMsMax }: LeaseOptions): Promise<LeaseResult> {
  const rows = await sql<Row[]>`
    with waiting as materialized (
      select run.tenant_id, run.id, run.state, run.attempt, run.due_at, run.schedule_id, run.schedule_revision, run.scheduled_for, run.trigger_id, run.retry_until
      from unnest(${keys.map((key) => key.tenantId)}::uuid[], ${keys.map((key) => key.runId)}::uuid[]) as given (tenant_id, id)
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
      order by run.id
      for update of run
    ), judged as materialized (
      select waiting.*, rule.endpoint_id, endpoint.revision as endpoint_revision, rule.target, rule.input, rule.max_runs,
        case
          when waiting.state not in ('pending', 'queued', 'retrying') then 'gone'
          when waiting.trigger_id = '' and waiting.attempt = 0
            and waiting.schedule_revision < rule.revision and waiting.due_at > rule.revised_at then 'canceled'
          when waiting.due_at > now() + ${holdMsMax}::float8 * interval '1 millisecond' then 'early'
          when waiting.trigger_id = '' and waiting.attempt = 0 and waiting.due_at < now() - rule.grace_seconds * interval '1 second' then 'missed'
          when waiting.trigger_id = '' and waiting.attempt = 0
            and waiting.due_at >= tenant.maintenance_from and (tenant.maintenance_until is null or waiting.due_at < tenant.maintenance_until) then 'skipped'
          when rule.kind = 'once' or waiting.trigger_id like 'backfill %' then 'leased'
          else 'gated'
        end as verdict
      from waiting
      join downbeat.schedules rule on rule.tenant_id = waiting.tenant_id and rule.id = waiting.schedule_id
      join downbeat.endpoints endpoint on endpoint.tenant_id = rule.tenant_id and endpoint.id = rule.endpoint_id
      join downbeat.tenants tenant on tenant.id = rule.tenant_id
    ), first as materialized (
      select distinct on (schedule_id) tenant_id, schedule_id, id, trigger_id, attempt, max_runs from judged where verdict = 'gated' order by schedule_id, id
    ), passed as (
      insert into downbeat.schedule_gates as gate (tenant_id, schedule_id, holders, started)
      select tenant_id, schedule_id, array[id], case when trigger_id = '' and attempt = 0 then 1 else 0 end
      from first
      -- A limit of runs is asked about under the gate's lock, by settleHeld.
      where first.max_runs is null or exists (
        select from downbeat.schedule_gates own
        where own.tenant_id = first.tenant_id and own.schedule_id = first.schedule_id and own.holders @> array[first.id])
      order by schedule_id
      on conflict (tenant_id, schedule_id) do update
        set holders = case when gate.holders @> excluded.holders then gate.holders else excluded.holders end,
          started = gate.started + case when gate.holders @> excluded.holders then 0 else excluded.started end
        where gate.holders @> excluded.holders or (gate.waiting = '{}' and not exists (
          select from unnest(gate.holders) as holder (id) where not downbeat.has_run_ended(gate.tenant_id, holder.id)))
      returning gate.tenant_id, gate.schedule_id
    ), decided as materialized (
      select judged.*,
        case when judged.verdict <> 'gated' then judged.verdict
          when passed.schedule_id is not null then 'leased'
          else 'held' end as answer
      from judged
      left join first on first.tenant_id = judged.tenant_id and first.id = judged.id
      left join passed on passed.tenant_id = first.tenant_id and passed.schedule_id = first.schedule_id
    ), leased as (
      update downbeat.runs run
      set state = 'running', reason = null, attempt = run.attempt + 1, redrives = 0, lease_token = gen_random_uuid(), executor = ${executor},
        started_at = greatest(now(), run.due_at),
        sweep_at = greatest(now(), run.due_at) + ${leaseMs}::float8 * interval '1 millisecond'
      from decided
      where run.tenant_id = decided.tenant_id and run.id = decided.id and decided.answer = 'leased'
      returning decided.*, run.lease_token, run.sweep_at as leased_until,
        case when decided.attempt = 0 then 0 else (
          select count(*)::int from downbeat.attempts earlier
          where earlier.tenant_id = decided.tenant_id and earlier.run_id = decided.id
            and earlier.outcome = 'limited') end as limited_before
    ), ended as (
      update downbeat.runs run
      set state = decided.answer,
        reason = case decided.answer when 'canceled' then 'schedule_changed' when 'missed' then 'grace' else 'maintenance' end,
        finished_at = now(), sweep_at = null
      from decided
      where run.tenant_id = decided.tenant_id and run.id = decided.id and decided.answer in ('canceled', 'missed', 'skipped')
      returning run.tenant_id, run.id, run.state, run.reason
    ), journal as (
      insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
      select tenant_id, id, ${executor}, state, reason from ended
    )
    select tenant_id as "tenantId", id as "runId", answer as verdict, lease_token as "leaseToken", attempt + 1 as attempt, limited_before as "limitedBefore",
      schedule_id as "scheduleId", trigger_id as "triggerId",
      (extract(epoch from scheduled_for) * 1000)::float8 as "scheduledFor", (extract(epoch from due_at) * 1000)::float8 as "dueAt",
      (extract(epoch from retry_until) * 1000)::float8 as "retryUntil",
      (extract(epoch from leased_until) * 1000)::float8 as "leasedUntil", endpoint_id as "endpointId", endpoint_revision as "endpointRevision",
      target, input, (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowAt"
    from leased
    union all
    select tenant_id, id, answer, null, attempt + 1, 0, schedule_id, trigger_id, null, (extract(epoch from due_at) * 1000)::float8, null, null, endpoint_id,
      endpoint_revision, null, null, (extract(epoch from clock_timestamp()) * 1000)::float8
    from decided where answer <> 'leased'`;
  const found = new Set(rows.map((row) => row.runId));
  const unknown = keys.filter((key) => !found.has(key.runId)).map((key): LeaseAnswer => ({ verdict: "unknown", key }));
  return { answers: [...rows.map(toAnswer), ...unknown], nowAt: rows.at(-1)?.nowAt ?? Number.NaN };
}

function toAnswer({ verdict, leaseToken, nowAt: _nowAt, ...row }: Row): LeaseAnswer {
  const key = { tenantId: row.tenantId, runId: row.runId };
  if (verdict === "leased") {
    if (leaseToken === null) throw new Error(`run ${row.runId} was leased without a token`);
    return { verdict, run: { ...row, leaseToken } };
  }
  if (verdict === "early" || verdict === "held") return { verdict, key, dueAt: row.dueAt };
  return { verdict, key };
}
