import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { firstDueAfter } from "@downbeat/timing/plan-due.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type RawBuilder, sql as fragment } from "kysely";
import { setDueRow } from "../schedules/due-row.ts";
import { type LockedSchedule, lockSchedule } from "../schedules/lock-schedule.ts";
import { Problem } from "../http/problem.ts";
import { settleDueSlots } from "../schedules/settle-due-slots.ts";
import { timingOf } from "../schedules/stored-rule.ts";
import type { NewMaintenance } from "./tenant-schemas.ts";
import { wakeDispatcher } from "../schedules/wake-dispatcher.ts";

/**
 * Maintenance of a tenant is one stretch of time, `[from, until)`: occurrences due in it do not run. Nothing is written when it begins. A claim stops before it and puts the schedule off, an
 * executor skips what had been claimed already, and when it is over the next claim records what fell into it as one stretch for each schedule. So the tenant's row must hold the stretch
 * until every schedule is past it, also when the maintenance is long over and no dispatcher was there to see.
 */

/** Schedules that are settled in a dispatcher's place at most: each takes some statements of the transaction. */
const settledMax = 1_000;

/** No claim looks further ahead than this, so no schedule was put off for the sake of an occurrence that is further away. */
const putOffWithin = "11 minutes";

interface StoredMaintenance {
  from: Date;
  until: Date | null;
}

/**
 * Begins or plans a maintenance. One that is on stays, and takes over the end and the reason that are given; a planned one is replaced; of one that is over, what it skipped is
 * recorded first where no dispatcher has come to it.
 */
export async function startMaintenance(database: TenantDatabase, tenantId: string, given: NewMaintenance): Promise<void> {
  const { current, nowAt } = await lockMaintenance(database, tenantId);
  const isActive = isOn(current, nowAt);
  const from = given.from === undefined ? (isActive ? current.from : nowAt) : new Date(given.from);
  const until = given.until === undefined ? (isActive ? current.until : null) : given.until === null ? null : new Date(given.until);
  checkStretch({ from, until }, { current: isActive ? current : null, nowAt });
  if (current !== null && current.until !== null && current.until <= nowAt) {
    await settleFormer(database, tenantId, { from: current.from, until: current.until });
  }
  await database
    .updateTable("downbeat.tenants")
    .set({ maintenance_from: from, maintenance_until: until, updated_at: nowAt })
    .$if(!isActive || given.reason !== undefined, (update) => update.set({ maintenance_reason: given.reason ?? null }))
    .where("id", "=", tenantId)
    .execute();
}

/** Ends the maintenance that is on, now; calls off one that is planned. Where there is neither, nothing changes. */
export async function endMaintenance(database: TenantDatabase, tenantId: string): Promise<void> {
  const { current, nowAt } = await lockMaintenance(database, tenantId);
  if (current === null || (current.until !== null && current.until <= nowAt)) return;
  const isActive = isOn(current, nowAt);
  await database
    .updateTable("downbeat.tenants")
    .set({ updated_at: nowAt, maintenance_until: isActive ? nowAt : null })
    .$if(!isActive, (update) => update.set({ maintenance_from: null, maintenance_reason: null }))
    .where("id", "=", tenantId)
    .execute();
  await recallPutOff(database, tenantId);
  await wakeDispatcher(database);
}

function isOn(current: StoredMaintenance | null, nowAt: Date): current is StoredMaintenance {
  return current !== null && current.from <= nowAt && (current.until === null || current.until > nowAt);
}

/** Locks the tenant's row against other changes of its maintenance. The instant is taken after the lock, in whole milliseconds, as occurrences are. */
async function lockMaintenance(database: TenantDatabase, tenantId: string): Promise<{ current: StoredMaintenance | null; nowAt: Date }> {
  const tenant = await database
    .selectFrom("downbeat.tenants")
    .select(["maintenance_from as from", "maintenance_until as until"])
    .where("id", "=", tenantId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  const { at } = await database.selectNoFrom(fragment<Date>`clock_timestamp()`.as("at")).executeTakeFirstOrThrow();
  return { current: tenant.from === null ? null : { from: tenant.from, until: tenant.until }, nowAt: at };
}

function checkStretch({ from, until }: StoredMaintenance, { current, nowAt }: { current: StoredMaintenance | null; nowAt: Date }): void {
  const refuse = (field: "from" | "until", at: Date, problem: string): never => {
    throw new Problem("invalid_value", {
      errors: [{ field, message: `is ${at.toISOString()}${problem}`, value: at.toISOString() }],
    });
  };
  if (current !== null && from.getTime() !== current.from.getTime())
    refuse("from", from, `, but a maintenance is on since ${current.from.toISOString()}; leave it out to change its end or reason`);
  if (current === null && from < nowAt)
    refuse("from", from, `, which is in the past; it must not be before ${nowAt.toISOString()}, or leave it out to begin now`);
  if (until !== null && until <= nowAt)
    refuse("until", until, `, which is in the past; it must be later than ${nowAt.toISOString()}, or null while nobody knows`);
  if (until !== null && until <= from) refuse("until", until, `; it must be later than from, ${from.toISOString()}`);
}

/**
 * Records what a maintenance that is over has skipped, for the schedules that no dispatcher has looked at since, before another takes its place: their watermarks are still before its
 * end, and without it the next claim would take what fell into it for an ordinary downtime. Refused where that is more than one transaction should do.
 */
async function settleFormer(database: TenantDatabase, tenantId: string, former: { from: Date; until: Date }): Promise<void> {
  const unsettled = await database
    .selectFrom("downbeat.schedule_due as due")
    .innerJoin("downbeat.schedules as rule", (join) =>
      join.onRef("rule.tenant_id", "=", "due.tenant_id").onRef("rule.id", "=", "due.schedule_id"),
    )
    .select(["rule.id", "rule.paused_at"])
    .where("due.tenant_id", "=", tenantId)
    .where(fragment<Date>`coalesce(due.scheduled_for, due.next_run_at)`, "<", former.until)
    // A pause that outlasts the maintenance accounts for all of the rest.
    .where(fragment<boolean>`(rule.paused_until is null or rule.paused_until < ${former.until})`)
    .orderBy("rule.id")
    .limit(settledMax + 1)
    .execute();
  // A pause that ended in between is for the dispatcher to end.
  if (unsettled.length > settledMax || unsettled.some((schedule) => schedule.paused_at !== null)) throw unsettledProblem(former.until);
  for (const { id } of unsettled) await settleSchedule(database, await lockSchedule(database, { tenantId, scheduleId: id }), former.until);
  await skipWaiting(database, tenantId, former);
}

async function settleSchedule(database: TenantDatabase, locked: LockedSchedule, until: Date): Promise<void> {
  const { rule, watermark, editedAt } = locked;
  // A dispatcher may have been there while the lock was waited for.
  if (watermark === null || watermark >= until || rule.paused_at !== null) return;
  const key = { tenantId: rule.tenant_id, scheduleId: rule.id };
  try {
    const next = firstDueAfter(await timingOf(database, rule), editedAt.getTime());
    await settleDueSlots(database, locked);
    await setDueRow(database, key, next);
    if (next !== null) return;
  } catch (error) {
    // The dispatcher finds that too, and pauses it.
    if (error instanceof UnusableRuleError) return;
    throw error;
  }
  await database
    .updateTable("downbeat.schedules")
    .set({ completed_at: editedAt, updated_at: editedAt })
    .where("tenant_id", "=", rule.tenant_id)
    .where("id", "=", rule.id)
    .execute();
}

function unsettledProblem(until: Date): Problem {
  return new Problem("maintenance_unsettled", {
    detail: `The maintenance that ended at ${until.toISOString()} has not been accounted for in every schedule yet. A dispatcher does that in its next pass; try again then.`,
    headers: { "retry-after": "60" },
  });
}

/**
 * Skips what was claimed before a former maintenance began, was due in it and still waits for an executor: it would be judged by the next maintenance.
 *
 * Index: runs_sweep_at, which has the runs that have not ended. Locks: rows in id order, as every batched write.
 */
async function skipWaiting(database: TenantDatabase, tenantId: string, { from, until }: { from: Date; until: Date }): Promise<void> {
  await database
    .with("waiting", (query) =>
      query
        .selectFrom("downbeat.runs")
        .select(["tenant_id", "id"])
        .where("tenant_id", "=", tenantId)
        .where("sweep_at", "is not", null)
        .where("state", "in", ["pending", "queued"])
        .where("trigger_id", "=", "")
        .where("attempt", "=", 0)
        .where("due_at", ">=", from)
        .where("due_at", "<", until)
        .orderBy("id")
        .forUpdate(),
    )
    .with("skipped", (query) =>
      query
        .updateTable("downbeat.runs as run")
        .from("waiting")
        .set({ state: "skipped", reason: "maintenance", finished_at: fragment`now()`, sweep_at: null })
        .whereRef("run.tenant_id", "=", "waiting.tenant_id")
        .whereRef("run.id", "=", "waiting.id")
        .returning(["run.tenant_id", "run.id"]),
    )
    .insertInto("downbeat.run_events")
    .columns(["tenant_id", "run_id", "actor", "event", "reason"])
    .expression((insert) =>
      insert
        .selectFrom("skipped")
        .select([
          "skipped.tenant_id",
          "skipped.id",
          text("api").as("actor"),
          text("skipped").as("event"),
          text("maintenance").as("reason"),
        ]),
    )
    .execute();
}

function text(value: string): RawBuilder<string> {
  return fragment<string>`${value}::text`;
}

/**
 * Has the schedules that were put off looked at when their occurrences are due, which for most is at once. Those that are paused until some instant wait for that and nothing else; for
 * one that is spread it only costs a look. A schedule that is being claimed at this moment is left out: it is looked at again within seconds anyway.
 *
 * Index: primary keys. Locks: due rows in the order of ids, waiting for none. Bounded by the tenant's schedules.
 */
async function recallPutOff(database: TenantDatabase, tenantId: string): Promise<void> {
  await database
    .with("put_off", (query) =>
      query
        .selectFrom("downbeat.schedule_due as due")
        .innerJoin("downbeat.schedules as rule", (join) =>
          join.onRef("rule.tenant_id", "=", "due.tenant_id").onRef("rule.id", "=", "due.schedule_id"),
        )
        .select(["due.tenant_id", "due.schedule_id", fragment<Date>`greatest(due.scheduled_for, now())`.as("look_at")])
        .where("due.tenant_id", "=", tenantId)
        .where("rule.paused_at", "is", null)
        .where("due.scheduled_for", "is not", null)
        .where(fragment<boolean>`due.scheduled_for < now() + ${putOffWithin}::interval`)
        .where(fragment<boolean>`due.next_run_at > greatest(due.scheduled_for, now())`)
        .orderBy("due.schedule_id")
        .forUpdate("due")
        .skipLocked(),
    )
    .updateTable("downbeat.schedule_due as due")
    .from("put_off")
    .set((update) => ({ next_run_at: update.ref("put_off.look_at") }))
    .whereRef("due.tenant_id", "=", "put_off.tenant_id")
    .whereRef("due.schedule_id", "=", "put_off.schedule_id")
    .execute();
}
