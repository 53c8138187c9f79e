import { createHash, randomUUID } from "node:crypto";
import type { BackfillRule } from "@downbeat/store/lock-backfill.ts";
import { liveRunStates } from "@downbeat/store/run-states.ts";
import { toRule } from "@downbeat/store/stored-timing.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { backfillTrigger } from "@downbeat/store/trigger.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import type { NewBackfill } from "./backfill-schemas.ts";
import type { ScheduleKey } from "../schedules/lock-schedule.ts";
import {
  type BackfillEstimate,
  type BackfillExcess,
  backfillLimits,
  type BackfillPlan,
  estimateBackfill,
  planBackfill,
  type SettledOccurrences,
} from "./plan-backfill.ts";
import { type FieldError, Problem } from "../http/problem.ts";
import { scheduleNotFound } from "../schedules/read-schedules.ts";
import { recordScheduleEvent } from "../schedules/schedule-events.ts";
import { findCalendars, readStoredRule } from "../schedules/stored-rule.ts";
import { wakeDispatcher } from "../schedules/wake-dispatcher.ts";

export interface EstimatedPlan extends BackfillPlan {
  concurrency: number;
  estimate: BackfillEstimate;
}

interface Stretch {
  from: Instant;
  to: Instant;
}

/** The schedule's newest runs that are asked how long they took, and how far back. */
const timedRunsMax = 50;
const timedDays = 7;

/** What a backfill would run. Index and locks: as `createBackfill`, but it locks nothing. */
export async function dryRunBackfill(database: TenantDatabase, key: ScheduleKey, given: NewBackfill): Promise<EstimatedPlan> {
  return (await plan(database, key, given, await databaseNow(database))).estimated;
}

export interface CreateBackfillOptions {
  actor: string;
  idempotencyKey: string | undefined;
}

/**
 * Plans a backfill and makes it: from then on the dispatchers feed it. One that has nothing to run is completed at once. Answers its id and plan; no plan when an earlier request with the same key
 * had made it. The id is computed from the key, so that is found out however much later.
 *
 * Requests for one schedule take turns at the lock of its rule: of two that arrive together, the second sees the first one's backfill.
 *
 * Index: primary keys, `backfills_schedule`, the occurrence keys of the stretch. Locks: the schedule's rule, as `runNow`.
 */
export async function createBackfill(
  database: TenantDatabase,
  key: ScheduleKey,
  given: NewBackfill,
  { actor, idempotencyKey }: CreateBackfillOptions,
): Promise<{ id: string; plan: EstimatedPlan | null }> {
  const { tenantId, scheduleId } = key;
  await lockRule(database, key);
  const id = idempotencyKey === undefined ? randomUUID() : backfillIdOf(scheduleId, idempotencyKey);
  if (idempotencyKey !== undefined && (await isKnown(database, tenantId, id))) return { id, plan: null };
  const nowAt = await databaseNow(database);
  const { stored, unclaimedFrom, estimated } = await plan(database, key, given, nowAt);
  const { from, to, planned, concurrency } = estimated;
  const [firstAt] = estimated.first;
  await database
    .insertInto("downbeat.backfills")
    .values({
      tenant_id: tenantId,
      id,
      schedule_id: scheduleId,
      from_at: new Date(from),
      // What the schedule has yet to claim is its own, also if it turns out to miss it.
      to_at: new Date(Math.min(to, Math.max(from, unclaimedFrom - 1))),
      rule: stored,
      concurrency,
      planned,
      created_by: actor,
      // Whole milliseconds: lists are sorted by it, and a cursor holds no more.
      created_at: new Date(nowAt),
      ...(firstAt === undefined
        ? { state: "completed" as const, next_at: null, finished_at: new Date(nowAt) }
        : { next_at: new Date(firstAt), finished_at: null }),
    })
    .execute();
  const detail = { backfill: id, from: toText(from), to: toText(to), planned, concurrency };
  await recordScheduleEvent(database, key, { actor, event: "backfill", reason: "requested", detail });
  await wakeDispatcher(database);
  return { id, plan: estimated };
}

/** UUIDv8 of a hash. */
function backfillIdOf(scheduleId: string, idempotencyKey: string): string {
  const digest = createHash("sha256").update(`backfill\n${scheduleId}\n${idempotencyKey}`).digest("hex");
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
}

async function lockRule(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey): Promise<void> {
  const rule = await database
    .selectFrom("downbeat.schedules")
    .select("id")
    .where("tenant_id", "=", tenantId)
    .where("id", "=", scheduleId)
    .where("deleted_at", "is", null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (rule === undefined) throw scheduleNotFound();
}

async function isKnown(database: TenantDatabase, tenantId: string, id: string): Promise<boolean> {
  const found = database.selectFrom("downbeat.backfills").select("id").where("tenant_id", "=", tenantId).where("id", "=", id);
  return (await found.executeTakeFirst()) !== undefined;
}

/** After the lock, and in whole milliseconds, like occurrences. */
async function databaseNow(database: TenantDatabase): Promise<Instant> {
  const { at } = await database.selectNoFrom(fragment<Date>`clock_timestamp()`.as("at")).executeTakeFirstOrThrow();
  return at.getTime();
}

async function plan(
  database: TenantDatabase,
  key: ScheduleKey,
  given: NewBackfill,
  nowAt: Instant,
): Promise<{ stored: BackfillRule; unclaimedFrom: Instant; estimated: EstimatedPlan }> {
  const stretch = readStretch(given, nowAt);
  await refuseOverlap(database, key, stretch);
  const { stored, unclaimedFrom } = await readRule(database, key);
  const settled = { ...(await readSettled(database, key, stretch)), unclaimedFrom };
  const planned = await planStored(key, stored, stretch, settled);
  const { concurrency } = given;
  const estimate = estimateBackfill({ planned: planned.planned, concurrency, meanRunMs: await readMeanRunMs(database, key) });
  return { stored, unclaimedFrom, estimated: { ...planned, concurrency, estimate } };
}

function readStretch(given: NewBackfill, nowAt: Instant): Stretch {
  const from = parseInstant(given.from) ?? Number.NaN;
  const to = given.to === undefined ? nowAt : (parseInstant(given.to) ?? Number.NaN);
  if (to > nowAt)
    throw refuse({ field: "to", message: `is in the future; it must not be later than now, ${toText(nowAt)}`, value: given.to });
  if (from < to) return { from, to };
  const end = given.to === undefined ? `now, ${toText(nowAt)}` : `to, ${given.to}`;
  throw refuse({ field: "from", message: `does not begin a stretch of the past; it must be earlier than ${end}`, value: given.from });
}

/** Two backfills over one stretch would run the same occurrences. A paused one will go on; a canceled one's last runs count as under way. */
async function refuseOverlap(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey, { from, to }: Stretch): Promise<void> {
  const other = await database
    .selectFrom("downbeat.backfills")
    .select(["id", "state", "from_at", "to_at"])
    .where("tenant_id", "=", tenantId)
    .where("schedule_id", "=", scheduleId)
    .where("state", "in", ["running", "paused"])
    .where("from_at", "<", new Date(to))
    .where("to_at", ">", new Date(from))
    .orderBy("created_at")
    .executeTakeFirst();
  if (other === undefined) return;
  const otherStretch = `from ${other.from_at.toISOString()} to ${other.to_at.toISOString()}`;
  throw new Problem("backfill_overlaps", {
    detail: `Backfill ${other.id} of this schedule is ${other.state} over part of this stretch, ${otherStretch}. Wait for it or cancel it, or ask for another stretch.`,
  });
}

/** The rule with its calendars, and from where on the schedule's own claim has yet to come. What falls into a pause is nobody's; the claim of a paused schedule is not waited for. */
async function readRule(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
): Promise<{ stored: BackfillRule; unclaimedFrom: Instant }> {
  const row = await database
    .selectFrom("downbeat.schedules as rule")
    .leftJoin("downbeat.schedule_due as due", (join) =>
      join.onRef("due.tenant_id", "=", "rule.tenant_id").onRef("due.schedule_id", "=", "rule.id"),
    )
    .selectAll("rule")
    .select(["due.next_run_at as due_at", "due.scheduled_for as due_for"])
    .where("rule.tenant_id", "=", tenantId)
    .where("rule.id", "=", scheduleId)
    .where("rule.deleted_at", "is", null)
    .executeTakeFirst();
  if (row === undefined) throw scheduleNotFound();
  const watermark = row.paused_at === null ? (row.due_for ?? row.due_at) : null;
  const calendars = await findCalendars(database, row.calendar_ids);
  return { stored: { rule: readStoredRule(row), calendars: [...calendars.values()] }, unclaimedFrom: watermark?.getTime() ?? Infinity };
}

/** As `readSettled` of the store, which the dispatcher asks again for each occurrence before it makes its run. */
async function readSettled(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
  { from, to }: Stretch,
): Promise<Pick<SettledOccurrences, "succeeded" | "underWay">> {
  const at = fragment`(extract(epoch from scheduled_for) * 1000)::float8`;
  const { rows } = await fragment<{ succeeded: number[]; underWay: number[] }>`
    select coalesce(json_agg(${at}) filter (where state = 'succeeded'), '[]') as succeeded,
      coalesce(json_agg(${at}) filter (where state <> 'succeeded'), '[]') as "underWay"
    from downbeat.runs
    where schedule_id = ${scheduleId} and tenant_id = ${tenantId} and scheduled_for > ${new Date(from)} and scheduled_for <= ${new Date(to)}
      and id >= downbeat.first_run_id(${new Date(from)}) and id < downbeat.first_run_id(${new Date(to + 1)})
      and (trigger_id = '' or trigger_id like ${`${backfillTrigger}%`})
      and state in (${fragment.join(["succeeded", ...liveRunStates])})`.execute(database);
  const [row] = rows;
  return { succeeded: new Set(row?.succeeded), underWay: new Set(row?.underWay) };
}

/** Plans with the rule as it is kept, so that what is fed cannot differ from what was planned. */
async function planStored(
  { scheduleId }: ScheduleKey,
  stored: BackfillRule,
  stretch: Stretch,
  settled: SettledOccurrences,
): Promise<BackfillPlan> {
  try {
    const rule = toRule(scheduleId, stored.rule, new Map(stored.calendars.map((calendar) => [calendar.id, calendar])));
    const result = await planBackfill(rule, stretch, settled);
    if (result.ok) return result.plan;
    throw refuse({ field: "from", message: describeExcess(result.excess), value: toText(stretch.from) });
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    throw new Problem("unusable_rule", { detail: `The schedule's rule can no longer be evaluated: its ${error.field} ${error.message}.` });
  }
}

function describeExcess(excess: BackfillExcess): string {
  const advice = `make several of shorter stretches, the first of them up to ${toText(excess.upTo)}`;
  if (excess.kind === "days")
    return `begins a stretch with runs on more than ${backfillLimits.daysMax} days, the most that one backfill may have; ${advice}`;
  const most = backfillLimits.occurrencesMax.toLocaleString("en-US");
  const count = excess.count === null ? `more than ${most}` : excess.count.toLocaleString("en-US");
  return `begins a stretch of ${count} occurrences, and one backfill may have at most ${most}; ${advice}`;
}

/** How long the newest runs that succeeded took on average, in ms, or null. Index: the occurrence keys of the last days. */
async function readMeanRunMs(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey): Promise<number | null> {
  const { rows } = await fragment<{ meanMs: number | null }>`
    select (extract(epoch from avg(took)) * 1000)::float8 as "meanMs"
    from (
      select finished_at - started_at as took
      from downbeat.runs
      where schedule_id = ${scheduleId} and tenant_id = ${tenantId} and state = 'succeeded' and started_at is not null
        and id >= downbeat.first_run_id(now() - ${timedDays}::int * interval '1 day')
      order by scheduled_for desc
      limit ${timedRunsMax}
    ) as timed`.execute(database);
  return rows[0]?.meanMs ?? null;
}

function refuse(error: FieldError): Problem {
  return new Problem("invalid_value", { errors: [error] });
}

function toText(instant: Instant): string {
  return new Date(instant).toISOString();
}
