import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { firstDueAfter } from "@downbeat/timing/plan-due.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import { sql as fragment } from "kysely";
import { type BulkAnswer, type BulkChange, bulkShownMax } from "./bulk-schemas.ts";
import type { LockedSchedule } from "./lock-schedule.ts";
import { countWithdrawable, lockWithdrawable } from "./lock-withdrawable.ts";
import { type MatchedSchedule, matchSchedules } from "./match-schedules.ts";
import { Problem } from "../http/problem.ts";
import { selectSchedules } from "./read-schedules.ts";
import { resumeSchedule } from "./resume-schedule.ts";
import { actorOf } from "./schedule-events.ts";
import { checkFrequencyJump, impactOf, type ScheduleImpact } from "./schedule-impact.ts";
import { toImpact, toText } from "./show-timing.ts";
import { editSchedule, type UpdateScheduleOptions } from "./update-schedule.ts";
import { pauseSchedule } from "./withdraw-schedule.ts";

export interface ChangeSchedulesOptions extends Omit<UpdateScheduleOptions, "revision" | "compareRules"> {
  tenantId: string;
}

/**
 * Does the same to many schedules of a tenant, all of them or none, in the transaction of the caller. What is refused for one is refused for all, with a word on which it was.
 *
 * Locks: the schedules in the order of their ids, each as every edit locks it; then, in the order of theirs, the runs that will be withdrawn: schedule by schedule, they could be
 * waited for against the order in which an executor leases a batch. Only then is anything written. Meanwhile dispatchers pass these schedules over. A dry run of an update locks nothing.
 */
export async function changeSchedules(database: TenantDatabase, given: BulkChange, options: ChangeSchedulesOptions): Promise<BulkAnswer> {
  const { tenantId, isDryRun } = options;
  const matched = await matchSchedules(database, tenantId, given.filter);
  const shown = matched.slice(0, bulkShownMax).map(({ id }) => id);
  const before = await readNext(database, tenantId, shown);
  const isForeseen = isDryRun && given.action === "update";
  const schedules = isForeseen ? await foreseeAll(database, tenantId, matched) : await lockAll(database, tenantId, matched);
  const effect = await changeEach(database, schedules, given, options);
  const after = isForeseen ? effect.next : await readNext(database, tenantId, shown);
  const changed = schedules.filter(({ rule }) => !effect.untouched.has(rule.id));
  return {
    action: given.action,
    matched: matched.length,
    changed: changed.length,
    left_out: matched.length - changed.length,
    ...effect.sums,
    schedules: changed.slice(0, bulkShownMax).map(({ rule }) => ({
      id: rule.id,
      name: rule.name,
      next_run_at_before: before.get(rule.id) ?? null,
      next_run_at_after: after.get(rule.id) ?? null,
    })),
    is_cut: changed.length > bulkShownMax,
  };
}

/** When schedules run next, as an answer shows it, by id. */
type NextRuns = ReadonlyMap<string, string | null>;

interface Effect {
  sums: Pick<BulkAnswer, "impact" | "pause" | "resume">;
  /** Schedules of which there is nothing to pause or resume. */
  untouched: ReadonlySet<string>;
  /** For an update that is only foreseen: when they would run next. */
  next: NextRuns;
}

function changeEach(
  database: TenantDatabase,
  schedules: readonly LockedSchedule[],
  given: BulkChange,
  options: ChangeSchedulesOptions,
): Promise<Effect> {
  switch (given.action) {
    case "update":
      return updateEach(database, schedules, given.changes ?? {}, options);
    case "pause":
      return pauseEach(database, schedules, given, actorOf(options.caller));
    case "resume":
      return resumeEach(database, schedules, given, actorOf(options.caller));
  }
}

async function updateEach(
  database: TenantDatabase,
  schedules: readonly LockedSchedule[],
  changes: NonNullable<BulkChange["changes"]>,
  options: ChangeSchedulesOptions,
): Promise<Effect> {
  const { confirm = false, ...fields } = changes;
  const compareRules = rememberImpacts();
  const next = new Map<string, string | null>();
  const sum = new ImpactSum();
  // Each by itself may be a jump; what counts is what becomes of all.
  const editOptions = { ...options, revision: undefined, compareRules };
  const edits = await eachOf(schedules, "changes.", (locked) => editSchedule(database, locked, { ...fields, confirm: true }, editOptions));
  for (const [{ rule, editedAt }, edit] of edits) {
    const first = rule.paused_at === null ? firstDueAfter(edit.timing, editedAt.getTime()) : null;
    next.set(rule.id, first === null ? null : toText(first.dueAt));
    sum.add(edit.impact, { withdrawn: edit.withdrawn, next: first });
  }
  const { impact, withdrawn, earliest } = sum;
  if (impact === undefined) return { sums: {}, untouched: new Set(), next };
  checkFrequencyJump(impact, confirm || options.isDryRun, { subject: `the ${schedules.length} schedules`, field: "changes.confirm" });
  return { sums: { impact: toImpact(impact, withdrawn, earliest) }, untouched: new Set(), next };
}

async function pauseEach(
  database: TenantDatabase,
  schedules: readonly LockedSchedule[],
  { reason, until }: BulkChange,
  actor: string,
): Promise<Effect> {
  const untouched = new Set<string>();
  const pause = { occurrences: 0 as number | null, skipped: 0 as number | null, replayed: 0 as number | null, per_day: 0 };
  const pauseOptions = { actor, reason, until: until === undefined ? undefined : new Date(until) };
  const effects = await eachOf(schedules, "", async (locked) => {
    if (locked.rule.paused_at !== null && until === undefined) return null;
    return unlessCompleted(pauseSchedule(database, keyOf(locked), pauseOptions));
  });
  for (const [{ rule }, effect] of effects) {
    if (effect === null) {
      untouched.add(rule.id);
      continue;
    }
    pause.occurrences = plus(pause.occurrences, effect.occurrences);
    pause.skipped = plus(pause.skipped, effect.skipped);
    pause.replayed = plus(pause.replayed, effect.replayed);
    pause.per_day += effect.perDay;
  }
  return { sums: { pause }, untouched, next: new Map() };
}

async function resumeEach(
  database: TenantDatabase,
  schedules: readonly LockedSchedule[],
  { on_resume: onResume }: BulkChange,
  actor: string,
): Promise<Effect> {
  const untouched = new Set<string>();
  const resume = { skipped: 0, replayed: 0 };
  const effects = await eachOf(schedules, "", async (locked) => {
    if (locked.rule.paused_at === null) return null;
    return unlessCompleted(resumeSchedule(database, keyOf(locked), { actor, onResume }));
  });
  for (const [{ rule }, effect] of effects) {
    if (effect === null) {
      untouched.add(rule.id);
      continue;
    }
    resume.skipped += effect.skipped;
    resume.replayed += effect.replayed;
  }
  return { sums: { resume }, untouched, next: new Map() };
}

function keyOf({ rule }: LockedSchedule) {
  return { tenantId: rule.tenant_id, scheduleId: rule.id };
}

function plus(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** Null: the schedule has nothing left to pause or to resume, and stays as it is. Refused before anything is written. */
async function unlessCompleted<Result>(work: Promise<Result>): Promise<Result | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Problem && error.code === "no_next_occurrence") return null;
    throw error;
  }
}

/** Statements of so many schedules are on their way at once: the transaction has one connection, and must not wait for each answer before it asks for the next. */
const atOnce = 50;

/**
 * Does the same to each, in the order of ids; everything it needs is locked. Answers each with what became of it. The first refusal is thrown, with the name of its schedule, but
 * only when everything that was on its way is done: a statement that is sent after the rollback would be a transaction of its own.
 */
async function eachOf<Result>(
  schedules: readonly LockedSchedule[],
  prefix: string,
  work: (locked: LockedSchedule) => Promise<Result>,
): Promise<[LockedSchedule, Result][]> {
  const results: [LockedSchedule, Result][] = [];
  for (let first = 0; first < schedules.length; first += atOnce) {
    const some = schedules.slice(first, first + atOnce);
    const settled = await Promise.allSettled(some.map((locked) => work(locked)));
    const refusals = settled.flatMap((outcome, index) =>
      outcome.status === "rejected" ? [{ error: outcome.reason as unknown, locked: some[index] }] : [],
    );
    const [refusal] = refusals.toSorted((a, b) => Number(isAftermath(a.error)) - Number(isAftermath(b.error)));
    if (refusal?.locked !== undefined) throw naming(refusal.error, refusal.locked, prefix);
    for (const [index, locked] of some.entries()) {
      const outcome = settled[index];
      if (outcome?.status === "fulfilled") results.push([locked, outcome.value]);
    }
  }
  return results;
}

/** A statement of a transaction that another one had ended already; that one's error is what counts. */
function isAftermath(error: unknown): boolean {
  return (error as { code?: unknown }).code === "25P02";
}

/** Tells of which schedule a refusal speaks, and that nothing was done. */
function naming(error: unknown, { rule }: LockedSchedule, prefix: string): unknown {
  if (!(error instanceof Problem)) return error;
  const errors = error.errors.map((one) => ({
    ...one,
    field: `${prefix}${one.field}`,
    message: `${one.message} (schedule "${rule.name}")`,
  }));
  return new Problem(error.code, {
    detail: `Nothing was changed, because of the schedule "${rule.name}" (${rule.id}): ${error.message}`,
    errors,
  });
}

/**
 * Locks them as `lockSchedule` does, and answers those that were not deleted since they were found. All are edited at one instant, read after the last lock was won.
 */
async function lockAll(database: TenantDatabase, tenantId: string, matched: readonly MatchedSchedule[]): Promise<LockedSchedule[]> {
  if (matched.length === 0) return [];
  const ids = matched.map(({ id }) => id);
  await lockInTurn(database, tenantId, ids);
  // Again, for the due rows that other edits made while this one waited for their rules.
  const due = await database
    .selectFrom("downbeat.schedule_due")
    .select(["schedule_id", "next_run_at", "scheduled_for"])
    .where("tenant_id", "=", tenantId)
    .where("schedule_id", "in", ids)
    .orderBy("schedule_id")
    .forUpdate()
    .execute();
  const watermarks = new Map(due.map((row) => [row.schedule_id, row.scheduled_for ?? row.next_run_at]));
  const schedules = await readAll(database, tenantId, matched);
  const locked = schedules.map((schedule) => ({ ...schedule, watermark: watermarks.get(schedule.rule.id) ?? null }));
  return withCounts(locked, await lockWithdrawable(database, locked));
}

/**
 * One schedule after the other in the order of ids, of each its row of the due index and then its rule, in one statement: the order of `lockSchedule`, called for one after the other.
 *
 * Index: primary keys. The lateral joins and `offset` leave the planner no choice of another order; deleted ones are locked as well, because a condition on that would let a planner without
 * statistics go through all of the tenant's names for each.
 */
async function lockInTurn(database: TenantDatabase, tenantId: string, ids: readonly string[]): Promise<void> {
  await fragment`
    select held.id, rule.revision
    from (
      select given.id, due.next_run_at
      from (select id from unnest(${ids}::uuid[]) as listed (id) order by id) as given
      left join lateral (
        select next_run_at from downbeat.schedule_due where tenant_id = ${tenantId} and schedule_id = given.id for update
      ) as due on true
      offset 0
    ) as held
    cross join lateral (
      select revision from downbeat.schedules where tenant_id = ${tenantId} and id = held.id for no key update
    ) as rule`.execute(database);
}

function withCounts(schedules: readonly LockedSchedule[], withdrawable: ReadonlyMap<string, number>): LockedSchedule[] {
  return schedules.map((schedule) => ({ ...schedule, withdrawable: withdrawable.get(schedule.rule.id) ?? 0 }));
}

/** The same without a lock and without watermarks, for a look at what would be. */
async function foreseeAll(database: TenantDatabase, tenantId: string, matched: readonly MatchedSchedule[]): Promise<LockedSchedule[]> {
  const schedules = await readAll(database, tenantId, matched);
  return withCounts(schedules, await countWithdrawable(database, schedules));
}

async function readAll(database: TenantDatabase, tenantId: string, matched: readonly MatchedSchedule[]): Promise<LockedSchedule[]> {
  if (matched.length === 0) return [];
  const rules = await database
    .selectFrom("downbeat.schedules")
    .selectAll()
    .where("tenant_id", "=", tenantId)
    .where(
      "id",
      "in",
      matched.map(({ id }) => id),
    )
    .where("deleted_at", "is", null)
    .orderBy("id")
    .execute();
  const { at } = await database.selectNoFrom(fragment<Date>`clock_timestamp()`.as("at")).executeTakeFirstOrThrow();
  return rules.map((rule) => ({ rule, watermark: null, editedAt: at }));
}

async function readNext(database: TenantDatabase, tenantId: string, ids: readonly string[]): Promise<NextRuns> {
  if (ids.length === 0) return new Map();
  const rows = await selectSchedules(database, tenantId)
    .where("rule.id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row.next_run_at?.toISOString() ?? null]));
}

/** Schedules of one rule are compared once. The instants from which they are differ by nothing that matters to 30 days. */
function rememberImpacts(): typeof impactOf {
  const known = new Map<string, ScheduleImpact>();
  return (before: Rule | null, after: Rule | null, from: Instant) => {
    const key = JSON.stringify([before, after]);
    const impact = known.get(key) ?? impactOf(before, after, from);
    known.set(key, impact);
    return impact;
  };
}

const shownMax = 5;

/** What many changes mean together. */
class ImpactSum {
  impact: ScheduleImpact | undefined;
  withdrawn = 0;
  /** The first of all starts to come. */
  earliest: Occurrence | null = null;

  add(one: ScheduleImpact, { withdrawn, next }: { withdrawn: number; next: Occurrence | null }): void {
    const sum = this.impact;
    this.impact =
      sum === undefined
        ? one
        : {
            ...sum,
            runsBefore: sum.runsBefore + one.runsBefore,
            runsAfter: sum.runsAfter + one.runsAfter,
            added: plus(sum.added, one.added),
            removed: plus(sum.removed, one.removed),
            firstAdded: firstOf(sum.firstAdded, one.firstAdded),
            firstRemoved: firstOf(sum.firstRemoved, one.firstRemoved),
            queueRequestsMax: sum.queueRequestsMax + one.queueRequestsMax,
          };
    this.withdrawn += withdrawn;
    if (next !== null && (this.earliest === null || next.dueAt < this.earliest.dueAt)) this.earliest = next;
  }
}

function firstOf(some: readonly Instant[], others: readonly Instant[]): Instant[] {
  return [...new Set([...some, ...others])].sort((a, b) => a - b).slice(0, shownMax);
}
