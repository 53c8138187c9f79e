import type { Sql } from "./connect.ts";
import type { Lease } from "./renew-leases.ts";
import type { RunReason } from "./run-states.ts";

/** How an attempt ended, and what becomes of its run. */
export interface AttemptRecord extends Lease {
  attempt: number;
  outcome: "success" | "transient" | "limited" | "permanent" | "gone" | "blocked";
  /** What happened, from a closed list (`http_503`, `timeout`, …); null for a success. */
  code: string | null;
  httpStatus: number | null;
  /** When the call started, in ms since 1970 by the database's clock. */
  startedAt: number;
  durationMs: number;
  responseExcerpt: string | null;
  next: { state: "succeeded" } | { state: "failed"; reason: RunReason } | { state: "retrying"; delayMs: number };
}

/** An outcome that is in the ledger now. */
export interface RecordedOutcome {
  leaseToken: string;
  tenantId: string;
  runId: string;
  scheduleId: string;
  state: AttemptRecord["next"]["state"];
  /** True when it has ended and others of its schedule may be waiting for that: `wakeWaiting` looks. */
  mayBeAwaited: boolean;
  /** True for a run of a backfill, which goes on when it has ended. */
  isBackfill: boolean;
  /** True when it has failed and its schedule is to be paused after some failures in a row: `pauseFailing` looks. */
  mayPause: boolean;
}

/** A retry is handed to the queue, with a delay, this long before it is due; until then the sweep leaves it alone. */
const sendRetryAheadMs = 60_000;

/**
 * ⑧ Records how attempts ended: the run's next state, the attempt, the journal (unless it simply succeeded) and the schedule's counters, in one statement. Backfills have
 * counters of their own: what failed of the past must not pause the schedule, nor a success hide that it fails. Every write
 * carries the lease token: an executor whose lease was taken writes nothing (rule X3). Answers what was recorded; the others are fenced.
 *
 * Index: primary keys. Locks: runs in id order, then counters in schedule order. Bounded by `records`.
 */
export async function recordOutcomes(sql: Sql, records: readonly AttemptRecord[], executor: string): Promise<RecordedOutcome[]> {
  return sql<RecordedOutcome[]>`
    with given as (
      select * from unnest(
        ${records.map((record) => record.tenantId)}::uuid[], ${records.map((record) => record.runId)}::uuid[],
        ${records.map((record) => record.leaseToken)}::uuid[], ${records.map((record) => record.attempt)}::smallint[],
        ${records.map((record) => record.outcome)}::text[], ${records.map((record) => record.code)}::text[],
        ${records.map((record) => record.httpStatus)}::smallint[], ${records.map((record) => record.startedAt)}::float8[],
        ${records.map((record) => record.durationMs)}::float8[], ${records.map((record) => record.responseExcerpt)}::text[],
        ${records.map((record) => record.next.state)}::text[],
        ${records.map((record) => (record.next.state === "failed" ? record.next.reason : null))}::text[],
        ${records.map((record) => (record.next.state === "retrying" ? record.next.delayMs : null))}::float8[]
      ) as given (tenant_id, id, lease_token, attempt, outcome, code, http_status, started_at, duration_ms, excerpt, state, reason, delay_ms)
    ), ended as materialized (
      select given.*, run.schedule_id, run.trigger_id, to_timestamp(given.started_at / 1000) as call_started_at,
        to_timestamp((given.started_at + given.duration_ms) / 1000) as call_finished_at,
        now() + given.delay_ms * interval '1 millisecond' as retry_at
      from given
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
      where run.lease_token = given.lease_token and run.state = 'running'
      order by run.id
      for update of run
    ), recorded as (
      update downbeat.runs run
      set state = ended.state, reason = ended.reason, http_status = ended.http_status, started_at = ended.call_started_at,
        finished_at = case when ended.state <> 'retrying' then ended.call_finished_at end,
        due_at = coalesce(ended.retry_at, run.due_at),
        sweep_at = case when ended.state = 'retrying'
          then greatest(now(), ended.retry_at - ${sendRetryAheadMs}::float8 * interval '1 millisecond') end,
        lease_token = null
      from ended
      where run.tenant_id = ended.tenant_id and run.id = ended.id
    ), attempts as (
      insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, code, http_status, started_at, finished_at, response_excerpt, executor)
      select tenant_id, id, attempt, outcome, code, http_status, call_started_at, call_finished_at, excerpt, ${executor} from ended
      on conflict do nothing
    ), journal as (
      insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
      select tenant_id, id, ${executor}, state, coalesce(reason, code) from ended where state <> 'succeeded'
    ), final as (
      select *, call_finished_at > coalesce(
        max(call_finished_at) filter (where state = 'succeeded') over (partition by tenant_id, schedule_id), '-infinity') as is_after_success
      from ended where state <> 'retrying' and trigger_id not like 'backfill %'
    ), counted as (
      insert into downbeat.schedule_stats as stats
        (tenant_id, schedule_id, succeeded, failed, consecutive_failures, last_run_at, last_state, last_error)
      select tenant_id, schedule_id, count(*) filter (where state = 'succeeded'), count(*) filter (where state = 'failed'),
        count(*) filter (where state = 'failed' and is_after_success),
        max(call_finished_at), (array_agg(state order by call_finished_at desc))[1], (array_agg(code order by call_finished_at desc))[1]
      from final
      group by tenant_id, schedule_id
      order by schedule_id
      on conflict (tenant_id, schedule_id) do update set
        succeeded = stats.succeeded + excluded.succeeded, failed = stats.failed + excluded.failed,
        consecutive_failures = excluded.consecutive_failures + case when excluded.succeeded > 0 then 0 else stats.consecutive_failures end,
        last_run_at = excluded.last_run_at, last_state = excluded.last_state, last_error = excluded.last_error
    )
    select ended.lease_token as "leaseToken", ended.tenant_id as "tenantId", ended.id as "runId", ended.schedule_id as "scheduleId", ended.state,
      ended.state <> 'retrying' and rule.overlap in ('queue_one', 'queue_all') as "mayBeAwaited",
      ended.trigger_id like 'backfill %' as "isBackfill", ended.state = 'failed' and rule.max_failures is not null as "mayPause"
    from ended
    join downbeat.schedules rule on rule.tenant_id = ended.tenant_id and rule.id = ended.schedule_id`;
}
