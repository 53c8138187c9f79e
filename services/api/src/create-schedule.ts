import { joinTargetPath, checkTargetUrl } from "@downbeat/delivery/target-url.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";
import { validateRule } from "@downbeat/timing/validate-rule.ts";
import { sql as fragment } from "kysely";
import type { TenantIdentity } from "./authenticate.ts";
import { isUuid } from "./field-types.ts";
import { type FieldError, Problem } from "./problem.ts";
import type { NewSchedule } from "./schedule-schemas.ts";
import { wakeDispatcher } from "./wake-dispatcher.ts";

export interface CreateScheduleOptions {
  tenant: TenantIdentity;
  allowPrivateTargets: boolean;
}

/**
 * Creates a schedule: the rule, its first occurrence in the due index, its counters, all in the caller's transaction. The instant of creation is the database's clock
 * (rule D4): occurrences are later than it, and it is the default anchor of an interval. Answers the id. Throws a `Problem` that names every field at fault.
 */
export async function createSchedule(database: TenantDatabase, given: NewSchedule, options: CreateScheduleOptions): Promise<string> {
  const { tenant } = options;
  const nowAt = await databaseNow(database);
  const { errors: ruleErrors, validated } = readRule(given, nowAt);
  const { errors: targetErrors, endpointId } = await findEndpoint(database, given, options);
  const errors = [...ruleErrors, ...targetErrors];
  if (validated === undefined || endpointId === undefined || errors.length > 0) throw new Problem("invalid_value", { errors });
  const { rule, firstAt } = validated;
  const { id } = await database
    .insertInto("downbeat.schedules")
    .values({
      tenant_id: tenant.id,
      name: given.name,
      endpoint_id: endpointId,
      target: given.target,
      input: given.input,
      ...toColumns(rule),
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  const key = { tenant_id: tenant.id, schedule_id: id };
  await database
    .insertInto("downbeat.schedule_due")
    .values({ ...key, next_run_at: new Date(firstAt) })
    .execute();
  await database.insertInto("downbeat.schedule_stats").values(key).execute();
  await wakeDispatcher(database);
  return id;
}

async function databaseNow(database: TenantDatabase): Promise<Instant> {
  const { at } = await database.selectNoFrom(fragment<Date>`now()`.as("at")).executeTakeFirstOrThrow();
  return at.getTime();
}

function readRule(given: NewSchedule, nowAt: Instant): { errors: FieldError[]; validated?: { rule: Rule; firstAt: Instant } } {
  const { kind = inferKind(given), cron_expression, timezone, interval_seconds, anchor_at, run_at, starts_at, ends_at } = given;
  const validation = validateRule({ kind, cron_expression, timezone, interval_seconds, anchor_at, run_at, starts_at, ends_at }, { nowAt });
  return validation.ok ? { errors: [], validated: validation } : { errors: validation.problems };
}

/** `kind` may be left out where the one field that decides it is there. */
function inferKind(given: NewSchedule): Rule["kind"] {
  const kinds = (Object.entries(decidingFields) as [Rule["kind"], (typeof decidingFields)[Rule["kind"]]][]).filter(
    ([, field]) => given[field] !== undefined,
  );
  const [found, other] = kinds;
  if (found !== undefined && other === undefined) return found[0];
  const message =
    found === undefined
      ? "is missing, and nothing says which it is: give cron_expression, interval_seconds or run_at"
      : `is missing, and ${kinds.map(([, field]) => field).join(" and ")} contradict each other: give one of them`;
  throw new Problem("invalid_request", { errors: [{ field: "kind", message, expected: Object.keys(decidingFields) }] });
}

const decidingFields = { cron: "cron_expression", interval: "interval_seconds", once: "run_at" } as const;

/** The endpoint, and whether the target can be called on it. Somebody else's endpoint is one that does not exist. */
async function findEndpoint(
  database: TenantDatabase,
  { endpoint: idOrName, target }: NewSchedule,
  { tenant, allowPrivateTargets }: CreateScheduleOptions,
): Promise<{ errors: FieldError[]; endpointId?: string }> {
  const endpoint = await database
    .selectFrom("downbeat.endpoints")
    .select(["id", "base_url", "compat_signatures"])
    .where("tenant_id", "=", tenant.id)
    .where(isUuid(idOrName) ? "id" : "name", "=", idOrName)
    .executeTakeFirst();
  if (endpoint === undefined)
    return { errors: [{ field: "endpoint", message: "is not the id or name of an endpoint of this tenant", value: idOrName }] };
  const base = checkTargetUrl(endpoint.base_url, { allowPrivateTargets });
  const joined = base.ok ? joinTargetPath(base.url, target.path) : base;
  const errors: FieldError[] = [];
  if (!base.ok)
    errors.push({ field: "endpoint", message: `has a base URL that may no longer be called: it ${base.message}`, value: idOrName });
  else if (!joined.ok)
    errors.push({
      field: "target.path",
      message: `makes a URL that may not be called: ${joined.message}`,
      value: target.path.slice(0, 200),
    });
  if (endpoint.compat_signatures && target.method === "GET") {
    errors.push({ field: "target.method", message: "must not be GET: the endpoint's compat signatures need a request body", value: "GET" });
  }
  return { errors, endpointId: endpoint.id };
}

function toColumns(rule: Rule) {
  const bounds = { kind: rule.kind, starts_at: toDate(rule.startsAt), ends_at: toDate(rule.endsAt) };
  switch (rule.kind) {
    case "cron":
      return { ...bounds, cron_expression: rule.cronExpression, timezone: rule.timezone };
    case "interval":
      return { ...bounds, interval_seconds: rule.intervalSeconds, anchor_at: new Date(rule.anchorAt) };
    case "once":
      return { ...bounds, run_at: new Date(rule.runAt) };
  }
}

function toDate(instant: Instant | undefined): Date | null {
  return instant === undefined ? null : new Date(instant);
}
