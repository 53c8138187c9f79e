import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { type RawBuilder, sql as fragment } from "kysely";
import { type Caller, tenantOf } from "../http/authenticate.ts";
import { isUuid } from "../http/field-types.ts";
import type { ScheduleKey } from "./lock-schedule.ts";
import { Problem } from "../http/problem.ts";
import { showStoredSpread } from "./stored-rule.ts";

/**
 * Schedules with everything an answer shows. `next_run_at` is what will run next: the earliest occurrence that a dispatcher has already claimed ahead of its time, else the
 * due index's. So a one-off stays `active` until its instant, although its rule is used up when it is claimed.
 *
 * Index: primary keys, and each day's occurrence key for the claimed-ahead run; days before today are pruned.
 */
export function selectSchedules(database: TenantDatabase, tenantId: string | undefined) {
  const schedules = database
    .selectFrom("downbeat.schedules as rule")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "rule.tenant_id")
    .innerJoin("downbeat.endpoints as endpoint", (join) =>
      join.onRef("endpoint.tenant_id", "=", "rule.tenant_id").onRef("endpoint.id", "=", "rule.endpoint_id"),
    )
    .leftJoin("downbeat.schedule_due as due", (join) =>
      join.onRef("due.tenant_id", "=", "rule.tenant_id").onRef("due.schedule_id", "=", "rule.id"),
    )
    .leftJoin("downbeat.schedule_stats as stats", (join) =>
      join.onRef("stats.tenant_id", "=", "rule.tenant_id").onRef("stats.schedule_id", "=", "rule.id"),
    )
    .leftJoinLateral(
      (lateral) =>
        lateral
          .selectFrom("downbeat.runs as run")
          .select((run) => [run.fn.min("run.scheduled_for").as("at"), run.fn.min("run.due_at").as("due_at")])
          .whereRef("run.tenant_id", "=", "rule.tenant_id")
          .whereRef("run.schedule_id", "=", "rule.id")
          .where("run.trigger_id", "=", "")
          .where("run.state", "in", ["pending", "queued", "running"])
          .where(fragment<boolean>`run.due_at > now()`)
          .where(
            fragment<boolean>`run.id >= downbeat.first_run_id(now() - case when rule.spread_seconds is null and rule.spread_share is null then interval '0' else interval '1 day' end)`,
          )
          .as("claimed"),
      (join) => join.onTrue(),
    )
    .selectAll("rule")
    .select(["tenant.slug as tenant_slug", "endpoint.name as endpoint_name", "stats.consecutive_failures"])
    .select(["stats.succeeded", "stats.failed", "stats.last_run_at", "stats.last_state", "stats.last_error"])
    .select(fragment<Date | null>`case when rule.paused_at is null then coalesce(claimed.due_at, due.next_run_at) end`.as("next_run_at"))
    .select(
      fragment<Date | null>`case when rule.paused_at is null then coalesce(claimed.at, due.scheduled_for, due.next_run_at) end`.as(
        "next_scheduled_for",
      ),
    )
    .select(
      fragment<{ id: string; name: string }[] | null>`case when rule.calendar_ids <> '{}' then (
        select json_agg(json_build_object('id', id, 'name', name) order by name) from downbeat.calendars where id = any(rule.calendar_ids)) end`.as(
        "calendars",
      ),
    )
    .where("rule.deleted_at", "is", null);
  return tenantId === undefined ? schedules : schedules.where("rule.tenant_id", "=", tenantId);
}

export type ScheduleRow = Awaited<ReturnType<ReturnType<typeof selectSchedules>["executeTakeFirstOrThrow"]>>;

/** The rows of `selectSchedules` that are in a state, as SQL: the same decision as `stateOf`. The columns of the rule come first, so that few rows look for a claimed run. */
export function isInState(state: ScheduleState): RawBuilder<boolean> {
  switch (state) {
    case "paused":
      return fragment<boolean>`rule.paused_at is not null`;
    case "completed":
      return fragment<boolean>`rule.paused_at is null and rule.completed_at is not null and claimed.at is null`;
    case "active":
      return fragment<boolean>`rule.paused_at is null and (rule.completed_at is null or claimed.at is not null)`;
  }
}

export const scheduleStates = ["active", "paused", "completed"] as const;
export type ScheduleState = (typeof scheduleStates)[number];

function stateOf(row: ScheduleRow): ScheduleState {
  if (row.paused_at !== null) return "paused";
  return row.completed_at !== null && row.next_run_at === null ? "completed" : "active";
}

/** Finds one schedule by id or name and answers its key. An administrator who named no tenant may use a name as long as only one tenant has it. */
export async function findSchedule(database: TenantDatabase, caller: Caller, idOrName: string): Promise<ScheduleKey> {
  return oneOf(await selectKeys(database, caller, idOrName).where("rule.deleted_at", "is", null).execute(), caller);
}

/** As `findSchedule`, but an id also finds a deleted schedule: its runs outlive it. */
export async function findScheduleOfRuns(database: TenantDatabase, caller: Caller, idOrName: string): Promise<ScheduleKey> {
  return isUuid(idOrName)
    ? oneOf(await selectKeys(database, caller, idOrName).execute(), caller)
    : findSchedule(database, caller, idOrName);
}

function selectKeys(database: TenantDatabase, caller: Caller, idOrName: string) {
  const keys = database
    .selectFrom("downbeat.schedules as rule")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "rule.tenant_id")
    .select(["rule.tenant_id as tenantId", "rule.id as scheduleId"])
    .where(isUuid(idOrName) ? "rule.id" : "rule.name", "=", idOrName)
    .limit(2);
  return caller.tenant === null ? keys : keys.where("rule.tenant_id", "=", caller.tenant.id);
}

function oneOf([key, other]: readonly ScheduleKey[], caller: Caller): ScheduleKey {
  if (key === undefined) throw scheduleNotFound();
  // Several tenants have this name: which one is meant, only the caller knows.
  if (other !== undefined) tenantOf(caller);
  return key;
}

/** Reads one schedule by its key. */
export async function readSchedule(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey) {
  const row = await selectSchedules(database, tenantId).where("rule.id", "=", scheduleId).executeTakeFirst();
  if (row === undefined) throw scheduleNotFound();
  return toSchedule(row);
}

export function scheduleNotFound(): Problem {
  return new Problem("not_found", { detail: "There is no such schedule." });
}

export function toSchedule(row: ScheduleRow) {
  return {
    id: row.id,
    tenant: { id: row.tenant_id, slug: row.tenant_slug },
    name: row.name,
    state: stateOf(row),
    kind: row.kind,
    cron_expression: row.cron_expression,
    frequency: row.frequency,
    timezone: row.kind === "interval" ? null : row.timezone,
    dst_gap: row.kind === "cron" ? row.dst_gap : null,
    dst_overlap: row.kind === "cron" ? row.dst_overlap : null,
    interval_seconds: row.interval_seconds,
    anchor_at: toText(row.anchor_at),
    run_at: toText(row.run_at),
    starts_at: toText(row.starts_at),
    ends_at: toText(row.ends_at),
    calendars: row.calendars ?? [],
    spread: showStoredSpread(row),
    misfire: row.misfire,
    grace_seconds: row.grace_seconds,
    overlap: row.overlap,
    max_instances: row.max_instances,
    on_resume: row.on_resume,
    max_runs: row.max_runs,
    max_failures: row.max_failures,
    tzdata: row.tzdata,
    endpoint: { id: row.endpoint_id, name: row.endpoint_name },
    target: row.target as { type: "http"; method: "POST" | "PUT" | "PATCH" | "GET"; path: string },
    input: row.input,
    next_run_at: toText(row.next_run_at),
    next_scheduled_for: toText(row.next_scheduled_for),
    paused_at: toText(row.paused_at),
    paused_until: toText(row.paused_until),
    completed_at: toText(row.completed_at),
    completed_reason: row.completed_reason,
    pause_reason: row.pause_reason,
    revision: row.revision,
    stats: {
      succeeded: Number(row.succeeded ?? 0),
      failed: Number(row.failed ?? 0),
      consecutive_failures: row.consecutive_failures ?? 0,
      last_run_at: toText(row.last_run_at),
      last_state: row.last_state,
      last_error: row.last_error,
    },
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

function toText(instant: Date | null): string | null {
  return instant === null ? null : instant.toISOString();
}
