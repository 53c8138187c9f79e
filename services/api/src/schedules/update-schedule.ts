import { isDeepStrictEqual } from "node:util";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { firstDueAfter, type Timing } from "@downbeat/timing/plan-due.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import type { Caller } from "../http/authenticate.ts";
import { setDueRow } from "./due-row.ts";
import { findTarget } from "./find-target.ts";
import { type LockedSchedule, lockSchedule, type ScheduleKey } from "./lock-schedule.ts";
import { Problem } from "../http/problem.ts";
import { readGivenTiming, type TimingColumns } from "./read-given-timing.ts";
import { actorOf, recordScheduleEvent } from "./schedule-events.ts";
import { checkFrequencyJump, impactOf, type ScheduleImpact } from "./schedule-impact.ts";
import type { ScheduleChanges, TimingFields } from "./schedule-schemas.ts";
import { settleDueSlots } from "./settle-due-slots.ts";
import { findCalendars, type ScheduleRuleRow, showStoredSpread, timingOf } from "./stored-rule.ts";
import { type ScheduleDefaults, timingPolicyOf } from "./timing-policy.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";
import { cancelFutureRuns } from "./withdraw-schedule.ts";

export interface UpdateScheduleOptions {
  caller: Caller;
  allowPrivateTargets: boolean;
  defaults: ScheduleDefaults;
  /** Only look: what would change. */
  isDryRun: boolean;
  /** The revision the caller has seen (`If-Match`); undefined: whatever it is now. */
  revision: number | undefined;
  /** Compares the rules. Default: `impactOf`; who edits many schedules of few rules has a memory. */
  compareRules?: typeof impactOf;
}

/** What an edit did, or would do. */
export interface ScheduleEdit {
  impact: ScheduleImpact;
  /** Runs claimed ahead of their time that are withdrawn and decided about anew. */
  withdrawn: number;
  timing: Timing;
}

/**
 * Edits a schedule. A slot that is due already is untouched and runs as it was; what was claimed ahead is withdrawn, and the new rule goes on from the instant of the edit: an occurrence
 * that both rules have keeps its run, because its id is the same. The pause of a paused schedule stays.
 */
export async function updateSchedule(
  database: TenantDatabase,
  key: ScheduleKey,
  changes: ScheduleChanges,
  options: UpdateScheduleOptions,
): Promise<ScheduleEdit> {
  return editSchedule(database, await lockSchedule(database, key), changes, options);
}

/** Edits a schedule that is locked already. */
export async function editSchedule(
  database: TenantDatabase,
  locked: LockedSchedule,
  changes: ScheduleChanges,
  options: UpdateScheduleOptions,
): Promise<ScheduleEdit> {
  const { caller, isDryRun, revision, defaults, compareRules = impactOf } = options;
  const { rule, editedAt } = locked;
  const key: ScheduleKey = { tenantId: rule.tenant_id, scheduleId: rule.id };
  if (revision !== undefined && revision !== rule.revision) {
    throw new Problem("revision_changed", {
      detail: `The schedule is at revision ${rule.revision}, not ${revision}: somebody changed it. Read it again.`,
    });
  }
  const { confirm = false, name, endpoint, target, input, ...timingChanges } = changes;
  const nowAt = editedAt.getTime();
  const isRetimed = Object.keys(timingChanges).length > 0;
  const policy = await timingPolicyOf(database, caller, key.tenantId, defaults);
  // Who only changes a policy is not asked to answer for a frequency that an administrator allowed.
  if (!["kind", "cron_expression", "frequency", "interval_seconds"].some((field) => field in timingChanges)) policy.intervalSecondsMin = 1;
  const before = await timingOf(database, rule);
  const { errors: timingErrors, read } = isRetimed
    ? await readGivenTiming(database, await mergeTiming(database, rule, timingChanges), { scheduleId: rule.id, nowAt, policy })
    : { errors: [], read: undefined };
  const wantsTarget = endpoint !== undefined || target !== undefined;
  const { errors: targetErrors, endpointId } = wantsTarget
    ? await findTarget(
        database,
        { endpoint: endpoint ?? rule.endpoint_id, target: target ?? (rule.target as never) },
        { tenantId: key.tenantId, ...options },
      )
    : { errors: [], endpointId: rule.endpoint_id };
  const errors = [...timingErrors, ...targetErrors];
  if ((isRetimed && read === undefined) || errors.length > 0) throw new Problem("invalid_value", { errors });

  const timing = read?.timing ?? before;
  const impact = compareRules(usable(before)?.rule ?? null, timing.rule, nowAt);
  checkFrequencyJump(impact, confirm || isDryRun);
  if (isDryRun) return { impact, withdrawn: await countFutureRuns(database, locked), timing };

  const columns = {
    ...read?.columns,
    ...(name === undefined ? {} : { name }),
    ...(endpointId === undefined ? {} : { endpoint_id: endpointId }),
    ...(target === undefined ? {} : { target }),
    ...(input === undefined ? {} : { input }),
  };
  const withdrawn = await applyEdit(database, locked, { columns, timing, isRetimed });
  await recordScheduleEvent(database, key, {
    actor: actorOf(caller),
    at: editedAt,
    event: "updated",
    detail: changedFields(rule, columns),
  });
  await wakeDispatcher(database);
  return { impact, withdrawn, timing };
}

interface Edit {
  columns: Partial<TimingColumns> & Record<string, unknown>;
  timing: Timing;
  /** False: when it runs has not changed. */
  isRetimed: boolean;
}

/** Writes an edit: settles what is due, withdraws what is to come, stores the new rule and puts the schedule back into the due index. Answers how many runs were withdrawn. */
export async function applyEdit(database: TenantDatabase, locked: LockedSchedule, { columns, timing, isRetimed }: Edit): Promise<number> {
  const { rule, editedAt } = locked;
  const key = { tenantId: rule.tenant_id, scheduleId: rule.id };
  await settleDueSlots(database, locked);
  const withdrawn = await cancelFutureRuns(database, locked);
  const isLive = rule.paused_at === null;
  const next = firstDueAfter(timing, (rule.paused_at ?? editedAt).getTime());
  // One that was completed lives again if the new rule has something to run; otherwise it stays as it is.
  const isCompleted = isLive && (next === null || (rule.completed_at !== null && !isRetimed && withdrawn === 0));
  const completed = isCompleted ? { completed_at: rule.completed_at ?? editedAt } : { completed_at: null, completed_reason: null };
  await database
    .updateTable("downbeat.schedules")
    .set({ ...columns, ...completed, revision: rule.revision + 1, revised_at: editedAt, updated_at: editedAt })
    .where("tenant_id", "=", rule.tenant_id)
    .where("id", "=", rule.id)
    .execute();
  if (isLive) await setDueRow(database, key, isCompleted ? null : next);
  else if (rule.paused_until !== null) await setDueRow(database, key, next, rule.paused_until.getTime());
  return withdrawn;
}

/** The rule's fields as a user would have given them, with the changes in their place. Fields that the new kind has not are left behind. */
async function mergeTiming(database: TenantDatabase, rule: ScheduleRuleRow, changes: Partial<TimingFields>): Promise<TimingFields> {
  const current: TimingFields = {
    kind: rule.kind,
    ...(rule.kind === "cron" ? patternOf(rule) : {}),
    ...(rule.kind === "interval" ? { interval_seconds: rule.interval_seconds ?? 0, anchor_at: rule.anchor_at?.toISOString() } : {}),
    ...(rule.kind === "once" ? { run_at: rule.run_at?.toISOString() } : {}),
    ...(rule.kind === "interval" ? {} : { timezone: rule.timezone }),
    ...(rule.kind === "cron" ? { dst_gap: rule.dst_gap, dst_overlap: rule.dst_overlap } : {}),
    starts_at: rule.starts_at?.toISOString(),
    ends_at: rule.ends_at?.toISOString(),
    misfire: rule.misfire,
    grace_seconds: rule.grace_seconds,
    overlap: rule.overlap,
    max_instances: rule.max_instances,
    on_resume: rule.on_resume,
    spread: showStoredSpread(rule),
    max_runs: rule.max_runs,
    max_failures: rule.max_failures,
    calendars: [...(await findCalendars(database, rule.calendar_ids)).keys()],
  };
  const deciding = { cron_expression: "cron", frequency: "cron", interval_seconds: "interval", run_at: "once" } as const;
  const given = Object.entries(deciding).find(([field]) => (changes[field as keyof TimingFields] ?? undefined) !== undefined);
  const kind = changes.kind ?? given?.[1] ?? rule.kind;
  const kept = Object.entries(current).filter(([field]) => !(field in changes) && isKept(field, { kind, rule, changes }));
  return { ...Object.fromEntries(kept), ...changes, kind } as TimingFields;
}

/** The preset where one was given, else the expression. */
function patternOf({ frequency, cron_expression }: ScheduleRuleRow): Pick<TimingFields, "frequency" | "cron_expression"> {
  return frequency === null ? { cron_expression: cron_expression ?? "" } : { frequency };
}

function isKept(field: string, { kind, rule, changes }: { kind: string; rule: ScheduleRuleRow; changes: Partial<TimingFields> }): boolean {
  const isRuleField = [
    "cron_expression",
    "frequency",
    "interval_seconds",
    "anchor_at",
    "run_at",
    "timezone",
    "dst_gap",
    "dst_overlap",
  ].includes(field);
  if (!isRuleField) return true;
  if (kind !== rule.kind) return false;
  // A new expression takes the place of a preset, and the other way round.
  return (
    !(field === "frequency" && changes.cron_expression !== undefined) && !(field === "cron_expression" && changes.frequency !== undefined)
  );
}

/** The fields of the row that an edit changed, as they were and as they are. */
function changedFields(rule: ScheduleRuleRow, columns: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = Object.keys(columns).filter(
    (field) => !isDeepStrictEqual(rule[field as keyof ScheduleRuleRow], columns[field]) && field !== "tzdata",
  );
  const pick = (from: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(fields.filter((field) => field !== "input").map((field) => [field, from[field] ?? null]));
  return { before: pick(rule), after: pick(columns), ...(fields.includes("input") ? { input: "changed" } : {}) };
}

async function countFutureRuns(database: TenantDatabase, { rule, editedAt, withdrawable }: LockedSchedule): Promise<number> {
  if (withdrawable !== undefined) return withdrawable;
  const { count } = await database
    .selectFrom("downbeat.runs")
    .select((query) => query.fn.countAll<string>().as("count"))
    .where("tenant_id", "=", rule.tenant_id)
    .where("schedule_id", "=", rule.id)
    .where("trigger_id", "=", "")
    .where("due_at", ">", editedAt)
    .where("scheduled_for", ">", new Date(editedAt.getTime() - 86_400_000))
    .where("state", "in", ["pending", "queued"])
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The timing, unless its rule can no longer be evaluated. */
function usable(timing: Timing): Timing | null {
  try {
    firstDueAfter(timing, 0);
    return timing;
  } catch (error) {
    if (error instanceof UnusableRuleError) return null;
    throw error;
  }
}
