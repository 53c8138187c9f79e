import { randomUUID } from "node:crypto";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { nextDue } from "@downbeat/timing/plan-due.ts";
import type { Instant } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import type { Caller, TenantIdentity } from "../http/authenticate.ts";
import { setDueRow } from "./due-row.ts";
import { findTarget } from "./find-target.ts";
import { Problem } from "../http/problem.ts";
import { readGivenTiming, type ReadTiming } from "./read-given-timing.ts";
import { actorOf, recordScheduleEvent } from "./schedule-events.ts";
import type { NewSchedule } from "./schedule-schemas.ts";
import { checkScheduleLimit, type ScheduleDefaults, timingPolicyOf } from "./timing-policy.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";

export interface CreateScheduleOptions {
  caller: Caller;
  tenant: TenantIdentity;
  allowPrivateTargets: boolean;
  defaults: ScheduleDefaults;
}

/** A schedule that could be created: everything is read and checked, nothing is written. */
export interface CheckedSchedule extends ReadTiming {
  scheduleId: string;
  endpointId: string;
  nowAt: Instant;
}

/**
 * Reads a new schedule. The instant of creation is the database's clock (rule D4): occurrences are later than it, and it is the default anchor of an interval. Throws a `Problem`
 * that names every field at fault.
 */
export async function checkSchedule(
  database: TenantDatabase,
  given: NewSchedule,
  { caller, tenant, allowPrivateTargets, defaults }: CreateScheduleOptions,
): Promise<CheckedSchedule> {
  const scheduleId = randomUUID();
  const nowAt = await databaseNow(database);
  const policy = await timingPolicyOf(database, caller, tenant.id, defaults);
  const { errors: timingErrors, read } = await readGivenTiming(database, given, { scheduleId, nowAt, policy });
  const { errors: targetErrors, endpointId } = await findTarget(database, given, { tenantId: tenant.id, allowPrivateTargets });
  const errors = [...timingErrors, ...targetErrors];
  if (read === undefined || endpointId === undefined || errors.length > 0) throw new Problem("invalid_value", { errors });
  return { ...read, scheduleId, endpointId, nowAt };
}

/** Creates a schedule: the rule, its first occurrence in the due index, its counters, all in the caller's transaction. Answers the id. */
export async function createSchedule(database: TenantDatabase, given: NewSchedule, options: CreateScheduleOptions): Promise<string> {
  const { tenant, caller } = options;
  const { scheduleId, endpointId, columns, timing, nowAt } = await checkSchedule(database, given, options);
  await checkScheduleLimit(database, tenant.id);
  await database
    .insertInto("downbeat.schedules")
    .values({
      tenant_id: tenant.id,
      id: scheduleId,
      name: given.name,
      endpoint_id: endpointId,
      target: given.target,
      input: given.input,
      ...columns,
    })
    .execute();
  const key = { tenantId: tenant.id, scheduleId };
  await setDueRow(database, key, nextDue(timing, nowAt));
  await database.insertInto("downbeat.schedule_stats").values({ tenant_id: tenant.id, schedule_id: scheduleId }).execute();
  await recordScheduleEvent(database, key, { actor: actorOf(caller), event: "created" });
  await wakeDispatcher(database);
  return scheduleId;
}

export async function databaseNow(database: TenantDatabase): Promise<Instant> {
  const { at } = await database.selectNoFrom(fragment<Date>`now()`.as("at")).executeTakeFirstOrThrow();
  return at.getTime();
}
