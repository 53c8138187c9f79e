import { randomUUID } from "node:crypto";
import {
  type ArrangedEndpoint,
  type ArrangedPolicy,
  type ArrangedRule,
  arrangeEndpoint,
  arrangeSchedules,
  databaseNow,
} from "@downbeat/testkit/arrange.ts";
import type { Sql, TransactionSql } from "./connect.ts";
import { runId } from "./run-id.ts";
import type { RunKey } from "./run-key.ts";
import type { RunState } from "./run-states.ts";

/** A schedule that something runs of. Its own occurrences do not matter. */
export interface ArrangedSchedule extends ArrangedEndpoint {
  scheduleId: string;
}

export interface ScheduleFields extends ArrangedPolicy {
  /** Default: every minute. */
  rule?: ArrangedRule;
}

export async function arrangeSchedule(
  sql: Sql,
  endpoint?: ArrangedEndpoint,
  { rule = { kind: "cron", cronExpression: "* * * * *" }, ...policy }: ScheduleFields = {},
): Promise<ArrangedSchedule> {
  const of = endpoint ?? (await arrangeEndpoint(sql, "http://127.0.0.1:9"));
  const [scheduleId = ""] = await arrangeSchedules(sql, of, { rule, policy, nextRunAt: 0, isDue: false });
  return { ...of, scheduleId };
}

/** Instants in ms from now, by the database's clock. */
export interface RunFields {
  state?: RunState;
  scheduledInMs?: number;
  /** Default: as scheduled. */
  dueInMs?: number;
  /** Default: null. */
  sweepInMs?: number;
  queuedInMs?: number;
  startedInMs?: number;
  attempt?: number;
  redrives?: number;
  revision?: number;
  reason?: string;
  blockedBy?: string;
  /** Default: no limit. */
  retryUntilInMs?: number;
  triggerId?: string;
  leaseToken?: string;
  executor?: string;
}

/** A run in any state, written as the process that brings it there leaves it. Each is of another instant, unless told. */
export async function arrangeRun(sql: Sql, { tenantId, scheduleId }: ArrangedSchedule, fields: RunFields = {}): Promise<RunKey> {
  const { state = "queued", scheduledInMs, triggerId = "" } = fields;
  const scheduledFor = scheduledInMs === undefined ? await anotherInstant(sql) : Math.floor(await databaseNow(sql)) + scheduledInMs;
  const id = runId(scheduleId, scheduledFor, triggerId);
  const fromNow = (ms: number | undefined) => sql`now() + ${ms ?? null}::float8 * interval '1 millisecond'`;
  const scheduled = sql`to_timestamp(${scheduledFor / 1000}::float8)`;
  await sql`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, trigger_id, state, reason, due_at, sweep_at, queued_at,
      started_at, attempt, redrives, lease_token, executor, blocked_by, retry_until)
    values (${tenantId}, ${id}, ${scheduleId}, ${fields.revision ?? 1}, ${scheduled}, ${triggerId}, ${state}, ${fields.reason ?? null},
      ${fields.dueInMs === undefined ? scheduled : fromNow(fields.dueInMs)}, ${fromNow(fields.sweepInMs)}, ${fromNow(fields.queuedInMs)},
      ${fromNow(fields.startedInMs)}, ${fields.attempt ?? 0}, ${fields.redrives ?? 0}, ${fields.leaseToken ?? null}, ${fields.executor ?? null},
      ${fields.blockedBy ?? null}, ${fromNow(fields.retryUntilInMs)})`;
  return { tenantId, runId: id };
}

let lastInstant: number | undefined;

/** Not so long ago, and never the same: two runs of a schedule cannot share an instant. */
async function anotherInstant(sql: Sql): Promise<number> {
  lastInstant ??= Math.floor(await databaseNow(sql));
  lastInstant -= 1;
  return lastInstant;
}

/** A run under a lease, as an executor holds it while it calls. */
export async function arrangeLeased(
  sql: Sql,
  schedule: ArrangedSchedule,
  fields: RunFields = {},
): Promise<RunKey & { leaseToken: string }> {
  const leaseToken = fields.leaseToken ?? randomUUID();
  const leased: RunFields = { state: "running", attempt: 1, leaseToken, executor: "executor-1", startedInMs: -1_000, sweepInMs: 45_000 };
  return { ...(await arrangeRun(sql, schedule, { ...leased, ...fields })), leaseToken };
}

/** Times in ms from the transaction's own instant, so that inside `atOneInstant` they are exact. */
export interface RunRow {
  state: RunState;
  reason: string | null;
  attempt: number;
  redrives: number;
  revision: number;
  leaseToken: string | null;
  executor: string | null;
  blockedBy: string | null;
  httpStatus: number | null;
  dueInMs: number;
  sweepInMs: number | null;
  queuedInMs: number | null;
  startedInMs: number | null;
  finishedInMs: number | null;
}

export async function readRun(sql: Sql, { tenantId, runId: id }: RunKey): Promise<RunRow> {
  const inMs = (column: string) => sql.unsafe(`(extract(epoch from ${column} - now()) * 1000)::float8`);
  const [row] = await sql<RunRow[]>`
    select state, reason, attempt, redrives, schedule_revision as revision, lease_token as "leaseToken", executor, blocked_by as "blockedBy",
      http_status as "httpStatus",
      ${inMs("due_at")} as "dueInMs", ${inMs("sweep_at")} as "sweepInMs", ${inMs("queued_at")} as "queuedInMs", ${inMs("started_at")} as "startedInMs",
      ${inMs("finished_at")} as "finishedInMs"
    from downbeat.runs where tenant_id = ${tenantId} and id = ${id}`;
  if (row === undefined) throw new Error(`there is no run ${id}`);
  return row;
}

/** The journal of a run: actor, event and reason, in order. */
export async function readJournal(sql: Sql, { tenantId, runId: id }: RunKey): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select concat_ws(' ', actor, event, reason) as line from downbeat.run_events where tenant_id = ${tenantId} and run_id = ${id} order by id`;
  return rows.map(({ line }) => line);
}

export async function readAttempts(sql: Sql, { tenantId, runId: id }: RunKey) {
  return [
    ...(await sql`
    select attempt, outcome, code, http_status as "httpStatus", response_excerpt as excerpt, executor from downbeat.attempts
    where tenant_id = ${tenantId} and run_id = ${id} order by attempt`),
  ];
}

export async function readStats(sql: Sql, { tenantId, scheduleId }: { tenantId: string; scheduleId: string }) {
  const [row] = await sql`
    select succeeded::int, failed::int, consecutive_failures as "consecutiveFailures", last_state as "lastState", last_error as "lastError"
    from downbeat.schedule_stats where tenant_id = ${tenantId} and schedule_id = ${scheduleId}`;
  return row;
}

/** A schedule's gate as it stands in the table: runs that have ended are still in it until somebody asks. */
export async function readGate(sql: Sql, { scheduleId }: { scheduleId: string }) {
  const [row] = await sql<{ holders: string[]; waiting: string[]; started: number }[]>`
    select to_json(holders) as holders, to_json(waiting) as waiting, started::int as started from downbeat.schedule_gates where schedule_id = ${scheduleId}`;
  return row;
}

/** A gate with these runs in it, which may be of any state. */
export async function arrangeGate(
  sql: Sql,
  { tenantId, scheduleId }: ArrangedSchedule,
  gate: { holders?: readonly RunKey[]; waiting?: readonly RunKey[]; started?: number },
): Promise<void> {
  const ids = (runs: readonly RunKey[] = []) => `{${runs.map((run) => run.runId).join(",")}}`;
  await sql`
    insert into downbeat.schedule_gates (tenant_id, schedule_id, holders, waiting, started)
    values (${tenantId}, ${scheduleId}, ${ids(gate.holders)}::text::uuid[], ${ids(gate.waiting)}::text::uuid[], ${gate.started ?? 0})
    on conflict (tenant_id, schedule_id) do update set holders = excluded.holders, waiting = excluded.waiting, started = excluded.started`;
}

/** Runs `body` in one transaction, in which the database's `now()` stands still: what it wrote can be compared to the millisecond. */
export function atOneInstant<Result>(sql: Sql, body: (transaction: Sql & TransactionSql) => Promise<Result>): Promise<Result> {
  return sql.begin((transaction) => body(transaction as Sql & TransactionSql)) as Promise<Result>;
}
