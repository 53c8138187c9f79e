import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { compileCronPattern } from "@downbeat/timing/cron-pattern.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";
import { bulkSchedulesMax, type ScheduleFilter } from "./bulk-schemas.ts";
import { isUuid } from "../http/field-types.ts";
import { type FieldError, Problem } from "../http/problem.ts";

export interface MatchedSchedule {
  id: string;
  name: string;
}

/**
 * The schedules of a tenant for which everything in the filter holds, by id. Those that nobody named and that have nothing left to run are left out: a change of their rule
 * would be refused, and that of all others with it. Refused where there are more than one request may change, or where one that was named does not exist.
 *
 * Index: the tenant's part of the primary key or of the names. Bounded by `bulkSchedulesMax`.
 */
export async function matchSchedules(database: TenantDatabase, tenantId: string, filter: ScheduleFilter): Promise<MatchedSchedule[]> {
  await checkNamed(database, tenantId, filter);
  const { ids, names, name_contains, endpoint, kind, cron_expression, minute } = filter;
  let matching = schedulesOf(database, tenantId);
  if (ids === undefined && names === undefined) matching = matching.where("rule.completed_at", "is", null);
  if (ids !== undefined) matching = matching.where("rule.id", "in", ids);
  if (names !== undefined) matching = matching.where("rule.name", "in", names);
  if (name_contains !== undefined) matching = matching.where("rule.name", "ilike", `%${name_contains.replaceAll(/[\\%_]/g, "\\$&")}%`);
  if (endpoint !== undefined) matching = matching.where("rule.endpoint_id", "=", await findEndpointId(database, tenantId, endpoint));
  if (kind !== undefined) matching = matching.where("rule.kind", "=", kind);
  // Stored with runs of white space reduced to one space.
  if (cron_expression !== undefined) matching = matching.where("rule.cron_expression", "=", cron_expression.trim().replaceAll(/\s+/g, " "));
  if (minute !== undefined) {
    const expressions = await expressionsOfMinute(database, tenantId, minute);
    if (expressions.length === 0) return [];
    matching = matching.where("rule.cron_expression", "in", expressions);
  }
  const found = await matching
    .select(["rule.id", "rule.name"])
    .orderBy("rule.id")
    .limit(bulkSchedulesMax + 1)
    .execute();
  if (found.length <= bulkSchedulesMax) return found;
  const { count } = await matching.select((query) => query.fn.countAll<string>().as("count")).executeTakeFirstOrThrow();
  throw new Problem("too_many_schedules", {
    detail: `The filter finds ${count} schedules, and one request changes ${bulkSchedulesMax} at most. Narrow it, or give the \`ids\` a part at a time.`,
  });
}

function schedulesOf(database: TenantDatabase, tenantId: string) {
  return database.selectFrom("downbeat.schedules as rule").where("rule.tenant_id", "=", tenantId).where("rule.deleted_at", "is", null);
}

/** Somebody else's schedule is one that does not exist. */
async function checkNamed(database: TenantDatabase, tenantId: string, { ids = [], names = [] }: ScheduleFilter): Promise<void> {
  const errors: FieldError[] = [];
  for (const [field, column, given] of [
    ["ids", "rule.id", ids],
    ["names", "rule.name", names],
  ] as const) {
    if (given.length === 0) continue;
    const rows = await schedulesOf(database, tenantId)
      .select(`${column} as key`)
      .where(column, "in", [...given])
      .execute();
    const known = new Set(rows.map(({ key }) => key));
    for (const [index, value] of given.entries()) {
      const key = field === "ids" ? value.toLowerCase() : value;
      if (!known.has(key))
        errors.push({
          field: `filter.${field}.${index}`,
          message: `is not the ${field === "ids" ? "id" : "name"} of a schedule of this tenant`,
          value,
        });
    }
  }
  if (errors.length > 0) throw new Problem("invalid_value", { errors: errors.slice(0, 20) });
}

async function findEndpointId(database: TenantDatabase, tenantId: string, idOrName: string): Promise<string> {
  const endpoint = await database
    .selectFrom("downbeat.endpoints")
    .select("id")
    .where("tenant_id", "=", tenantId)
    .where(isUuid(idOrName) ? "id" : "name", "=", idOrName)
    .executeTakeFirst();
  if (endpoint !== undefined) return endpoint.id;
  throw new Problem("invalid_value", {
    errors: [{ field: "filter.endpoint", message: "is not the id or name of an endpoint of this tenant", value: idOrName }],
  });
}

/** The tenant's expressions that fire in one minute of the hour. They are few, whatever the number of schedules. */
async function expressionsOfMinute(database: TenantDatabase, tenantId: string, minute: number): Promise<string[]> {
  const rows = await schedulesOf(database, tenantId)
    .select("rule.cron_expression")
    .where("rule.cron_expression", "is not", null)
    .distinct()
    .execute();
  return rows.flatMap(({ cron_expression: expression }) => (expression !== null && firesOnlyIn(expression, minute) ? [expression] : []));
}

function firesOnlyIn(cronExpression: string, minute: number): boolean {
  try {
    return compileCronPattern(cronExpression).times.minute.every((matches, value) => (matches === 1) === (value === minute));
  } catch (error) {
    if (error instanceof UnusableRuleError) return false;
    throw error;
  }
}
