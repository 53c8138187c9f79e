import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Caller } from "../http/authenticate.ts";
import { Problem } from "../http/problem.ts";
import type { TimingPolicy } from "./read-given-timing.ts";

/** What the installation sets for schedules that say nothing of their own. */
export interface ScheduleDefaults {
  graceSeconds: number;
  /** The shortest time between two occurrences for tenants without a limit of their own, in seconds. */
  intervalSecondsMin: number;
}

/** What this caller may ask of a rule of this tenant: an administrator down to a second, a tenant what its limit says. */
export async function timingPolicyOf(
  database: TenantDatabase,
  { scope }: Caller,
  tenantId: string,
  defaults: ScheduleDefaults,
): Promise<TimingPolicy> {
  const tenant = await database.selectFrom("downbeat.tenants").select("interval_seconds_min").where("id", "=", tenantId).executeTakeFirst();
  const intervalSecondsMin = scope === "admin" ? 1 : (tenant?.interval_seconds_min ?? defaults.intervalSecondsMin);
  return { tenantId, intervalSecondsMin, graceSecondsDefault: defaults.graceSeconds };
}

/** Refuses another schedule of a tenant that has as many as it may have. */
export async function checkScheduleLimit(database: TenantDatabase, tenantId: string, added = 1): Promise<void> {
  const tenant = await database.selectFrom("downbeat.tenants").select("schedules_max").where("id", "=", tenantId).executeTakeFirst();
  if (tenant === undefined || tenant.schedules_max === null) return;
  const { count } = await database
    .selectFrom("downbeat.schedules")
    .select((query) => query.fn.countAll<string>().as("count"))
    .where("tenant_id", "=", tenantId)
    .where("deleted_at", "is", null)
    .executeTakeFirstOrThrow();
  if (Number(count) + added > tenant.schedules_max) {
    throw new Problem("limit_reached", {
      detail: `The tenant has ${count} schedules and may have ${tenant.schedules_max}. Delete some, or have an administrator raise the limit.`,
    });
  }
}
