import { finalRunStates, type RunState } from "@downbeat/store/run-states.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Caller } from "../http/authenticate.ts";
import type { EstimatedPlan } from "./create-backfill.ts";
import { isUuid } from "../http/field-types.ts";
import { Problem } from "../http/problem.ts";

/** A backfill of a schedule. */
export interface BackfillRef {
  tenantId: string;
  backfillId: string;
}

/** Backfills with everything an answer shows but how the open runs do. Callers add what bounds the rows: a schedule, an id. */
export function selectBackfills(database: TenantDatabase, tenantId: string | undefined) {
  const backfills = database
    .selectFrom("downbeat.backfills as backfill")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "backfill.tenant_id")
    .innerJoin("downbeat.schedules as rule", (join) =>
      join.onRef("rule.tenant_id", "=", "backfill.tenant_id").onRef("rule.id", "=", "backfill.schedule_id"),
    )
    .selectAll("backfill")
    .select(["tenant.slug as tenant_slug", "rule.name as schedule_name"]);
  return tenantId === undefined ? backfills : backfills.where("backfill.tenant_id", "=", tenantId);
}

export type BackfillRow = Awaited<ReturnType<ReturnType<typeof selectBackfills>["executeTakeFirstOrThrow"]>>;

/** Finds one backfill by its id and answers its key. */
export async function findBackfill(database: TenantDatabase, caller: Caller, backfillId: string): Promise<BackfillRef> {
  if (!isUuid(backfillId)) throw backfillNotFound();
  const found = database
    .selectFrom("downbeat.backfills as backfill")
    // Without a tenant, the join makes it a look-up of the primary key for each tenant.
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "backfill.tenant_id")
    .select(["backfill.tenant_id as tenantId", "backfill.id as backfillId"])
    .where("backfill.id", "=", backfillId);
  const row = await (caller.tenant === null ? found : found.where("backfill.tenant_id", "=", caller.tenant.id)).executeTakeFirst();
  if (row === undefined) throw backfillNotFound();
  return row;
}

export async function readBackfill(database: TenantDatabase, { tenantId, backfillId }: BackfillRef) {
  const row = await selectBackfills(database, tenantId).where("backfill.id", "=", backfillId).executeTakeFirst();
  if (row === undefined) throw backfillNotFound();
  return toBackfill(row, await readOpenStates(database, [row]));
}

/**
 * The states of open runs, by id. How those runs did that had ended by the dispatcher's last look stands in the backfill's row, and only the others, at most `concurrency`, are looked up. So an
 * answer costs the same however much has been run, and stays true when old days have been dropped from the ledger.
 *
 * Index: primary key, of the days of these runs only.
 */
export async function readOpenStates(database: TenantDatabase, backfills: readonly BackfillRow[]): Promise<Map<string, RunState>> {
  const runIds = backfills.flatMap((backfill) => backfill.open_runs);
  if (runIds.length === 0) return new Map();
  const rows = await database
    .selectFrom("downbeat.runs")
    .select(["id", "state"])
    .where("tenant_id", "in", [...new Set(backfills.map((backfill) => backfill.tenant_id))])
    .where("id", "in", runIds)
    .execute();
  return new Map(rows.map(({ id, state }) => [id, state]));
}

export function backfillNotFound(): Problem {
  return new Problem("not_found", { detail: "There is no such backfill." });
}

export function toBackfill(row: BackfillRow, openStates: ReadonlyMap<string, RunState>) {
  const states = row.open_runs.flatMap((id) => openStates.get(id) ?? []);
  const running = states.filter((state) => !finalRunStates.has(state)).length;
  const succeeded = row.succeeded + states.filter((state) => state === "succeeded").length;
  const failed = row.failed + states.filter((state) => state === "failed").length;
  return {
    id: row.id,
    tenant: { id: row.tenant_id, slug: row.tenant_slug },
    schedule: { id: row.schedule_id, name: row.schedule_name },
    from: row.from_at.toISOString(),
    to: row.to_at.toISOString(),
    state: row.state,
    concurrency: row.concurrency,
    planned: row.planned,
    fed: row.fed,
    running,
    succeeded,
    failed,
    canceled: row.fed - running - succeeded - failed,
    next_at: row.next_at?.toISOString() ?? null,
    created_by: row.created_by,
    created_at: row.created_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  };
}

export function toPlan({ from, to, concurrency, occurrences, leftOut, planned, first, last, estimate }: EstimatedPlan) {
  const toText = (instant: number) => new Date(instant).toISOString();
  return {
    from: toText(from),
    to: toText(to),
    concurrency,
    occurrences,
    left_out: { succeeded: leftOut.succeeded, under_way: leftOut.underWay },
    planned,
    first: first.map(toText),
    last: last.map(toText),
    estimate: { mean_run_ms: estimate.meanRunMs, runs_per_minute: estimate.runsPerMinute, seconds: estimate.seconds },
  };
}
