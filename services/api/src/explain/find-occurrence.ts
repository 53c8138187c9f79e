import { runId } from "@downbeat/store/run-id.ts";
import type { RunState } from "@downbeat/store/run-states.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Instant } from "@downbeat/timing/rule.ts";
import { sql as fragment } from "kysely";
import type { ScheduleKey } from "../schedules/lock-schedule.ts";
import { type RunRow, selectRuns } from "../runs/read-runs.ts";

export type OccurrenceRow = RunRow & { schedule_revision: number };

/** What the ledger has of one occurrence. */
export interface FoundOccurrence {
  /** Its own row, or the one of the stretch it lies in. */
  run: OccurrenceRow | null;
  /** Where it has none: the first later occurrence that was made into a run, as far as it was looked for. */
  followedBy: Instant | null;
}

/** The own row of an occurrence. Index: primary key, of its day. */
export async function findOwnRow(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
  at: Instant,
): Promise<OccurrenceRow | null> {
  return findById(database, tenantId, runId(scheduleId, at));
}

export async function findById(database: TenantDatabase, tenantId: string, id: string): Promise<OccurrenceRow | null> {
  const found = selectRuns(database).select("run.schedule_revision").where("run.tenant_id", "=", tenantId).where("run.id", "=", id);
  return (await found.executeTakeFirst()) ?? null;
}

const dayMs = 86_400_000;

/** Rows that are looked at in each reach. What lies in a stretch, besides the stretch, are runs that an edit withdrew: a look-ahead of them. */
const rowsMax = 500;

/**
 * Finds what the ledger has of the occurrence at `at`: its own row, or the stretch in which it lies. A stretch is dated at its end, which may be weeks later, so rows are read forward from `at`,
 * reaching further each time; but none of what ran lies inside of a stretch, so the first such row ends the search.
 *
 * Index: primary key, then the days' occurrence keys, from the day of `at` to `untilAt`.
 */
export async function findOccurrence(
  database: TenantDatabase,
  key: ScheduleKey,
  { at, untilAt }: { at: Instant; untilAt: Instant },
): Promise<FoundOccurrence> {
  const own = await findOwnRow(database, key, at);
  if (own !== null) return { run: own, followedBy: null };
  let from = at;
  for (const reachMs of [2 * dayMs, 32 * dayMs, Infinity]) {
    const to = Math.min(at + reachMs, untilAt);
    if (from >= to) break;
    for (const row of await rowsAfter(database, key, { from, to })) {
      if (row.range_from !== null && row.range_from.getTime() <= at) {
        return { run: await findById(database, key.tenantId, row.id), followedBy: null };
      }
      if (!passiveStates.has(row.state)) return { run: null, followedBy: row.scheduled_for.getTime() };
    }
    from = to;
  }
  return { run: null, followedBy: null };
}

/** States of rows that may lie inside of a stretch. */
const passiveStates: ReadonlySet<RunState> = new Set(["canceled", "skipped", "missed"]);

/** Occurrences that are dated in `[from, to)`, the first ones. */
function rowsAfter(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey, { from, to }: { from: Instant; to: Instant }) {
  return database
    .selectFrom("downbeat.runs as run")
    .select(["run.id", "run.state", "run.scheduled_for", "run.range_from"])
    .where("run.tenant_id", "=", tenantId)
    .where("run.schedule_id", "=", scheduleId)
    .where("run.trigger_id", "=", "")
    .where("run.scheduled_for", ">=", new Date(from))
    .where(fragment<boolean>`run.id >= downbeat.first_run_id(${new Date(from)}) and run.id < downbeat.first_run_id(${new Date(to)})`)
    .orderBy("run.scheduled_for")
    .limit(rowsMax)
    .execute();
}

const othersMax = 10;

/** Runs of the schedule, in the minute of `at`, that are no occurrences of its rule: asked for by hand, or backfilled. Index: the day's occurrence key. */
export function findOtherRuns(database: TenantDatabase, { tenantId, scheduleId }: ScheduleKey, at: Instant): Promise<RunRow[]> {
  const from = new Date(Math.floor(at / 60_000) * 60_000);
  const to = new Date(from.getTime() + 60_000);
  return selectRuns(database)
    .where("run.tenant_id", "=", tenantId)
    .where("run.schedule_id", "=", scheduleId)
    .where("run.trigger_id", "<>", "")
    .where("run.scheduled_for", ">=", from)
    .where("run.scheduled_for", "<", to)
    .where(fragment<boolean>`run.id >= downbeat.first_run_id(${from}) and run.id < downbeat.first_run_id(${to})`)
    .orderBy("run.scheduled_for")
    .limit(othersMax)
    .execute();
}
