import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { runReasons } from "@downbeat/store/run-states.ts";
import { triggerOf } from "@downbeat/store/trigger.ts";
import { Problem } from "../http/problem.ts";

/** Runs with the names an answer shows. Callers add what bounds the rows: a tenant, a schedule, a range of ids. */
export function selectRuns(database: TenantDatabase) {
  return database
    .selectFrom("downbeat.runs as run")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "run.tenant_id")
    .innerJoin("downbeat.schedules as rule", (join) =>
      join.onRef("rule.tenant_id", "=", "run.tenant_id").onRef("rule.id", "=", "run.schedule_id"),
    )
    .select(runColumns)
    .select(["tenant.slug as tenant_slug", "rule.name as schedule_name"]);
}

/** Everything of a run that an answer shows; leases and sweeps are the workers' business. */
export const runColumns = [
  "run.tenant_id",
  "run.id",
  "run.schedule_id",
  "run.scheduled_for",
  "run.trigger_id",
  "run.state",
  "run.reason",
  "run.attempt",
  "run.due_at",
  "run.queued_at",
  "run.started_at",
  "run.finished_at",
  "run.http_status",
  "run.spread_ms",
  "run.blocked_by",
  "run.range_from",
  "run.range_count",
  "run.created_at",
] as const;

export type RunRow = Awaited<ReturnType<ReturnType<typeof selectRuns>["executeTakeFirstOrThrow"]>>;

/** Finds a run by its id. The join to tenants turns the look-up without a tenant into one of the primary key for each tenant. */
export async function findRun(
  database: TenantDatabase,
  { tenantId, runId }: { tenantId: string | undefined; runId: string },
): Promise<RunRow> {
  const found = selectRuns(database).where("run.id", "=", runId);
  const row = await (tenantId === undefined ? found : found.where("run.tenant_id", "=", tenantId)).executeTakeFirst();
  if (row === undefined) throw runNotFound();
  return row;
}

export async function readRun(database: TenantDatabase, key: { tenantId: string; runId: string }) {
  return toRun(await findRun(database, key));
}

export function runNotFound(): Problem {
  return new Problem("not_found", { detail: "There is no such run." });
}

export function toRun(row: RunRow) {
  return {
    id: row.id,
    tenant: { id: row.tenant_id, slug: row.tenant_slug },
    schedule: { id: row.schedule_id, name: row.schedule_name },
    scheduled_for: row.scheduled_for.toISOString(),
    trigger: triggerOf(row.trigger_id),
    state: row.state,
    reason: row.reason,
    reason_text: row.reason === null ? null : (runReasons[row.reason] ?? null),
    attempt: row.attempt,
    due_at: row.due_at.toISOString(),
    started_at: row.started_at?.toISOString() ?? null,
    finished_at: row.finished_at?.toISOString() ?? null,
    lag_ms: row.started_at === null ? null : row.started_at.getTime() - row.scheduled_for.getTime() - (row.spread_ms ?? 0),
    http_status: row.http_status,
    spread_ms: row.spread_ms,
    blocked_by: row.blocked_by,
    range_from: row.range_from?.toISOString() ?? null,
    range_count: row.range_count,
    created_at: row.created_at.toISOString(),
  };
}
