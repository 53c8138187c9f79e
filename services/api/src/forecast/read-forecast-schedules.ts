import type { Sql } from "@downbeat/store/connect.ts";
import type { StoredCalendar } from "@downbeat/store/load-calendars.ts";
import { toTiming } from "@downbeat/store/stored-timing.ts";
import { type DataScope, type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { ForecastSchedule } from "./forecast-load.ts";
import { findCalendars, readStoredRule, storedRuleColumns } from "../schedules/stored-rule.ts";

export interface ForecastFilter {
  /** Only schedules of these endpoints. Undefined: of all. */
  endpointIds: readonly string[] | undefined;
  /** Only schedules whose name contains this text, in whatever case. */
  name: string | undefined;
}

export interface ReadSchedules {
  /** Those that live: neither deleted nor completed, nor paused without an end. */
  schedules: number;
  /** How many of them were not handed over: there are too many, or they lack what their kind needs. */
  leftOut: number;
}

/** A batch is some ten milliseconds for the database, and about as many for this process. */
const batchSize = 5_000;

/** Schedules that one forecast looks at: some seconds' work, and some 100 MB while it lasts. */
export const forecastSchedulesMax = 200_000;

/**
 * Hands the live schedules of a scope over, in batches of a transaction each: an instant's consistency is of no use to a forecast, a long transaction would be felt by
 * everybody.
 *
 * Index: primary key of schedules, in its order, from where the batch before ended. Bounded by `forecastSchedulesMax`.
 */
export async function readForecastSchedules(
  sql: Sql,
  { scope, filter }: { scope: DataScope; filter: ForecastFilter },
  take: (schedule: ForecastSchedule) => void,
): Promise<ReadSchedules> {
  const maintenance = await tenantTransaction(sql, scope, readMaintenance);
  const calendars = new Map<string, StoredCalendar>();
  const read: ReadSchedules = { schedules: 0, leftOut: 0 };
  let after: BatchKey | undefined;
  do {
    const rows = await tenantTransaction(sql, scope, async (database) => {
      const batch = await selectBatch(database, { scope, filter, after });
      const unknown = new Set(batch.flatMap((row) => row.calendar_ids).filter((id) => !calendars.has(id)));
      for (const [id, calendar] of await findCalendars(database, [...unknown])) calendars.set(id, calendar);
      return batch;
    });
    for (const row of rows) {
      const schedule = toForecastSchedule(row, { calendars, maintenance });
      if (schedule === null) read.leftOut += 1;
      else take(schedule);
    }
    read.schedules += rows.length;
    const last = rows.at(-1);
    after = rows.length < batchSize || last === undefined ? undefined : { tenantId: last.tenant_id, id: last.id };
  } while (after !== undefined && read.schedules < forecastSchedulesMax);
  if (after === undefined) return read;
  const rest = await tenantTransaction(sql, scope, (database) => countRest(database, { scope, filter, after }));
  return { schedules: read.schedules + rest, leftOut: read.leftOut + rest };
}

interface BatchKey {
  tenantId: string;
  id: string;
}

interface Batch {
  scope: DataScope;
  filter: ForecastFilter;
  after: BatchKey | undefined;
}

function liveSchedules(database: TenantDatabase, { scope, filter, after }: Batch) {
  let live = database
    .selectFrom("downbeat.schedules as rule")
    .where("rule.deleted_at", "is", null)
    .where("rule.completed_at", "is", null)
    .where((where) => where.or([where("rule.paused_at", "is", null), where("rule.paused_until", "is not", null)]));
  if (scope.kind === "tenant") live = live.where("rule.tenant_id", "=", scope.tenantId);
  if (filter.endpointIds !== undefined) live = live.where("rule.endpoint_id", "in", [...filter.endpointIds]);
  if (filter.name !== undefined) live = live.where("rule.name", "ilike", `%${filter.name.replaceAll(/[\\%_]/g, "\\$&")}%`);
  if (after !== undefined) live = live.where(fragment<boolean>`(rule.tenant_id, rule.id) > (${after.tenantId}::uuid, ${after.id}::uuid)`);
  return live;
}

type ForecastRow = Awaited<ReturnType<typeof selectBatch>>[number];

function selectBatch(database: TenantDatabase, batch: Batch) {
  return liveSchedules(database, batch)
    .select(storedRuleColumns.map((column) => `rule.${column}` as const))
    .select(["rule.id", "rule.name", "rule.tenant_id", "rule.endpoint_id", "rule.paused_until"])
    .select(
      fragment<number | null>`case when rule.max_runs is not null then greatest(0, rule.max_runs - coalesce((
        select started from downbeat.schedule_gates gate where gate.tenant_id = rule.tenant_id and gate.schedule_id = rule.id), 0))::float8 end`.as(
        "starts_left",
      ),
    )
    .orderBy("rule.tenant_id")
    .orderBy("rule.id")
    .limit(batchSize)
    .execute();
}

async function countRest(database: TenantDatabase, batch: Batch): Promise<number> {
  const { count } = await liveSchedules(database, batch)
    .select((query) => query.fn.countAll<string>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

type Maintenance = NonNullable<ForecastSchedule["maintenance"]>;

/** The tenants in maintenance, or to be, by id. */
async function readMaintenance(database: TenantDatabase): Promise<ReadonlyMap<string, Maintenance>> {
  const rows = await database
    .selectFrom("downbeat.tenants")
    .select(["id", "maintenance_from", "maintenance_until"])
    .where("maintenance_from", "is not", null)
    .execute();
  return new Map(
    rows.map((row) => [row.id, { from: row.maintenance_from?.getTime() ?? 0, until: row.maintenance_until?.getTime() ?? null }]),
  );
}

/** Null for a row that nobody can say of when it is due; a dispatcher sets such a schedule aside. */
function toForecastSchedule(
  row: ForecastRow,
  { calendars, maintenance }: { calendars: ReadonlyMap<string, StoredCalendar>; maintenance: ReadonlyMap<string, Maintenance> },
): ForecastSchedule | null {
  try {
    const { rule, spread } = toTiming(row.id, readStoredRule(row), calendars);
    return {
      id: row.id,
      name: row.name,
      tenantId: row.tenant_id,
      endpointId: row.endpoint_id,
      rule,
      spread,
      pausedUntil: row.paused_until?.getTime() ?? null,
      maintenance: maintenance.get(row.tenant_id) ?? null,
      startsLeft: row.starts_left,
    };
  } catch {
    return null;
  }
}
