import { passGate, type Overlap } from "@downbeat/timing/pass-gate.ts";
import type { Sql, TransactionSql } from "./connect.ts";
import { inTransaction } from "./in-transaction.ts";
import type { RunKey } from "./run-key.ts";
import { liveRunStates, type RunReason } from "./run-states.ts";

export type HeldAnswer =
  /** The gate names it as a holder: leasing it again succeeds. The runs in `replaced` were canceled to make room. */
  | { verdict: "admitted"; key: RunKey; replaced: string[] }
  /** It was skipped, waits for its turn, or was settled by somebody else meanwhile: nothing to do. */
  | { verdict: "settled"; key: RunKey };

/** A waiting run is sent again when a holder ends; should that have been missed, after this long, and this long when it is not the first in line. */
const lookAgainMs = 60_000;
const lookAgainBehindMs = 600_000;

/** After that a deadlock is risked, which Postgres finds and `inTransaction` repeats. */
const triesMax = 5;

interface HeldRow extends RunKey {
  scheduleId: string;
  triggerId: string;
  attempt: number;
  overlap: Overlap;
  maxInstances: number;
  maxRuns: number | null;
}

interface GateRow {
  tenantId: string;
  scheduleId: string;
  holders: string[];
  waiting: string[];
  started: number;
}

/**
 * ⑤ Decides about runs that are due while others of their schedule are under way, as the schedule's overlap policy says, oldest first. Rare next to leasing, so it takes its
 * time: rows and gates are locked first and read after that, so what it decides from is true until it commits.
 *
 * A run that was asked for by hand is let in whatever is under way, and holds the gate like the others. One that has been started before and is sent again is not one more
 * occurrence, so `max_runs` does not count it.
 *
 * Index: primary keys of runs, schedules and gates. Locks: runs in id order, those that may be canceled included, then gates in schedule order, as `leaseRuns`. Bounded by `keys`.
 */
export async function settleHeld(sql: Sql, keys: readonly RunKey[], executor: string): Promise<HeldAnswer[]> {
  for (let tries = 1; ; tries += 1) {
    const answers = await inTransaction(sql, (transaction) => settleOnce(transaction, keys, executor, tries < triesMax));
    if (answers !== undefined) return answers;
  }
}

/** Undefined when a gate has a holder that was not locked before the gate: it came in meanwhile, and canceling it now would be out of order. `isStrict: false` does so all the same. */
async function settleOnce(
  sql: TransactionSql,
  keys: readonly RunKey[],
  executor: string,
  isStrict: boolean,
): Promise<HeldAnswer[] | undefined> {
  const { held, lockedIds } = await lockHeld(sql, keys);
  const gates = await lockGates(sql, held);
  const changes = decide(held, gates);
  if (isStrict && changes.some((change) => change.kind === "ended" && !lockedIds.has(change.run.runId))) return undefined;
  const ended = await write(sql, changes, gates, executor);
  const admitted = new Map(changes.flatMap((change) => (change.kind === "admitted" ? [[change.run.runId, change.replaced] as const] : [])));
  return keys.map((key): HeldAnswer => {
    const replaced = admitted.get(key.runId);
    if (replaced === undefined) return { verdict: "settled", key };
    // One that came to its own end in this moment was not canceled, and nobody is to be told so.
    return { verdict: "admitted", key, replaced: replaced.filter((runId) => ended.has(runId)) };
  });
}

/**
 * Locks the runs and, where a schedule cancels what is under way, the runs that its gate names: taken only when they are canceled, after the gate, they would be taken out of order.
 */
async function lockHeld(sql: TransactionSql, keys: readonly RunKey[]): Promise<{ held: HeldRow[]; lockedIds: ReadonlySet<string> }> {
  const rows = await sql<(HeldRow & { isHeld: boolean })[]>`
    with given as materialized (
      -- Several messages may name one run.
      select distinct * from unnest(${keys.map((key) => key.tenantId)}::uuid[], ${keys.map((key) => key.runId)}::uuid[]) as given (tenant_id, id)
    ), locked as materialized (
      select tenant_id, id from given
      union
      select gate.tenant_id, unnest(gate.holders)
      from given
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
      join downbeat.schedules rule on rule.tenant_id = run.tenant_id and rule.id = run.schedule_id
      join downbeat.schedule_gates gate on gate.tenant_id = run.tenant_id and gate.schedule_id = run.schedule_id
      where rule.overlap = 'cancel_previous'
    )
    select run.tenant_id as "tenantId", run.id as "runId", run.schedule_id as "scheduleId", run.trigger_id as "triggerId", run.attempt, rule.overlap,
      rule.max_instances as "maxInstances", rule.max_runs as "maxRuns",
      given.id is not null and run.state in ('pending', 'queued', 'retrying') and run.due_at <= now() as "isHeld"
    from locked
    join downbeat.runs run on run.tenant_id = locked.tenant_id and run.id = locked.id
    join downbeat.schedules rule on rule.tenant_id = run.tenant_id and rule.id = run.schedule_id
    left join given on given.tenant_id = locked.tenant_id and given.id = locked.id
    order by run.id
    for update of run`;
  return { held: rows.filter(({ isHeld }) => isHeld), lockedIds: new Set(rows.map(({ runId }) => runId)) };
}

/** Locks the gates, making those that are missing, and answers them with the runs that have ended left out. */
async function lockGates(sql: TransactionSql, held: readonly HeldRow[]): Promise<Map<string, GateRow>> {
  const schedules = [...new Map(held.map((run) => [run.scheduleId, run.tenantId])).entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  if (schedules.length === 0) return new Map();
  const tenantIds = schedules.map(([, tenantId]) => tenantId);
  const scheduleIds = schedules.map(([scheduleId]) => scheduleId);
  await sql`
    insert into downbeat.schedule_gates as gate (tenant_id, schedule_id)
    select * from unnest(${tenantIds}::uuid[], ${scheduleIds}::uuid[]) as given (tenant_id, schedule_id) order by schedule_id
    on conflict (tenant_id, schedule_id) do update set holders = gate.holders`;
  // A statement of its own, whose snapshot is younger than the locks.
  const rows = await sql<GateRow[]>`
    select gate.tenant_id as "tenantId", gate.schedule_id as "scheduleId", gate.started::float8 as started,
      ${liveIn(sql, "holders")} as holders, ${liveIn(sql, "waiting")} as waiting
    from unnest(${tenantIds}::uuid[], ${scheduleIds}::uuid[]) as given (tenant_id, schedule_id)
    join downbeat.schedule_gates gate on gate.tenant_id = given.tenant_id and gate.schedule_id = given.schedule_id`;
  return new Map(rows.map((row) => [row.scheduleId, row]));
}

/** The runs of a gate's list that have not ended, oldest first. */
function liveIn(sql: TransactionSql, list: "holders" | "waiting") {
  return sql`coalesce((
    select json_agg(run.id order by run.id) from unnest(gate.${sql(list)}) as named (id)
    join downbeat.runs run on run.tenant_id = gate.tenant_id and run.id = named.id
    where run.state = any(${liveRunStates as unknown as string[]}::text[])), '[]'::json)`;
}

type Change =
  | { kind: "admitted"; run: HeldRow; replaced: string[] }
  | { kind: "ended"; run: RunKey; state: "skipped" | "canceled"; reason: RunReason; blockedBy: string | null }
  | { kind: "waiting"; run: HeldRow; blockedBy: string; lookAgainMs: number };

/** Applies the policy to each run in turn. Changes `gates` to what they are afterwards. */
function decide(held: readonly HeldRow[], gates: Map<string, GateRow>): Change[] {
  return held.flatMap((run): Change[] => {
    const gate = gates.get(run.scheduleId);
    if (gate === undefined) throw new Error(`schedule ${run.scheduleId} has no gate although it was just made`);
    const isOccurrence = run.triggerId === "";
    const isCounted = isOccurrence && run.attempt === 0;
    if (gate.holders.includes(run.runId)) return [{ kind: "admitted", run, replaced: [] }];
    if (!isOccurrence) {
      gate.holders = [...gate.holders, run.runId];
      return [{ kind: "admitted", run, replaced: [] }];
    }
    if (isCounted && run.maxRuns !== null && gate.started >= run.maxRuns) {
      return [{ kind: "ended", run, state: "skipped", reason: "max_runs", blockedBy: null }];
    }
    const passed = passGate(gate, { overlap: run.overlap, instancesMax: run.maxInstances }, run.runId);
    gate.holders = [...passed.gate.holders];
    gate.waiting = [...passed.gate.waiting];
    switch (passed.verdict.verdict) {
      case "admitted": {
        if (isCounted) gate.started += 1;
        const replaced = [...passed.verdict.replaced];
        const canceled = replaced.map((runId): Change => ({
          kind: "ended",
          run: { tenantId: run.tenantId, runId },
          state: "canceled",
          reason: "superseded",
          blockedBy: run.runId,
        }));
        return [...canceled, { kind: "admitted", run, replaced }];
      }
      case "waits": {
        const { heldBy } = passed.verdict;
        return [{ kind: "waiting", run, blockedBy: heldBy, lookAgainMs: gate.waiting[0] === run.runId ? lookAgainMs : lookAgainBehindMs }];
      }
      case "skipped":
        return [{ kind: "ended", run, state: "skipped", reason: "overlap", blockedBy: passed.verdict.heldBy }];
    }
  });
}

/** Writes what was decided, and answers the runs that it ended: one that was to be canceled may have come to its own end first. */
async function write(
  sql: TransactionSql,
  changes: readonly Change[],
  gates: ReadonlyMap<string, GateRow>,
  executor: string,
): Promise<Set<string>> {
  const ended = changes.filter((change) => change.kind === "ended");
  const waiting = changes.filter((change) => change.kind === "waiting");
  const changed = [...gates.values()];
  if (changes.length === 0) return new Set();
  const rows = await sql<{ id: string }[]>`
    with ended as materialized (
      select given.*, run.state as was, run.attempt, run.started_at, run.executor
      from unnest(
        ${ended.map(({ run }) => run.tenantId)}::uuid[], ${ended.map(({ run }) => run.runId)}::uuid[], ${ended.map(({ state }) => state)}::text[],
        ${ended.map(({ reason }) => reason)}::text[], ${ended.map(({ blockedBy }) => blockedBy)}::uuid[]
      ) as given (tenant_id, id, state, reason, blocked_by)
      join downbeat.runs run on run.tenant_id = given.tenant_id and run.id = given.id
      where run.state = any(${liveRunStates as unknown as string[]}::text[])
      order by run.id
      for update of run
    ), ending as (
      update downbeat.runs run
      set state = ended.state, reason = ended.reason, blocked_by = ended.blocked_by, finished_at = now(), sweep_at = null, lease_token = null
      from ended
      where run.tenant_id = ended.tenant_id and run.id = ended.id
    ), cut_off as (
      -- Whoever is calling for it can write nothing any more, so its attempt is written here, and nobody will know how it ended.
      insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, code, started_at, finished_at, executor)
      select tenant_id, id, attempt, 'unknown', 'superseded', started_at, now(), executor from ended where was = 'running'
      on conflict do nothing
    ), waits as (
      select * from unnest(
        ${waiting.map(({ run }) => run.tenantId)}::uuid[], ${waiting.map(({ run }) => run.runId)}::uuid[], ${waiting.map(({ blockedBy }) => blockedBy)}::uuid[],
        ${waiting.map((change) => change.lookAgainMs)}::float8[]
      ) as given (tenant_id, id, blocked_by, look_again_ms)
    ), parking as (
      update downbeat.runs run
      set state = 'pending', reason = 'overlap', redrives = 0, blocked_by = waits.blocked_by, sweep_at = now() + waits.look_again_ms * interval '1 millisecond'
      from waits
      where run.tenant_id = waits.tenant_id and run.id = waits.id
    ), journal as (
      insert into downbeat.run_events (tenant_id, run_id, actor, event, reason)
      select tenant_id, id, ${executor}, state, reason from ended
      union all select tenant_id, id, ${executor}, 'waiting', 'behind run ' || blocked_by from waits
    ), gates as (
      update downbeat.schedule_gates gate
      set holders = string_to_array(given.holders, ',')::uuid[], waiting = string_to_array(given.waiting, ',')::uuid[], started = given.started
      from unnest(
        ${changed.map(({ tenantId }) => tenantId)}::uuid[], ${changed.map(({ scheduleId }) => scheduleId)}::uuid[],
        ${changed.map(({ holders }) => holders.join(","))}::text[], ${changed.map((gate) => gate.waiting.join(","))}::text[],
        ${changed.map(({ started }) => started)}::float8[]
      ) as given (tenant_id, schedule_id, holders, waiting, started)
      where gate.tenant_id = given.tenant_id and gate.schedule_id = given.schedule_id
    )
    select id from ended`;
  return new Set(rows.map(({ id }) => id));
}
