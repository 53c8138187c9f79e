import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import { isUuid } from "../http/field-types.ts";
import { Problem } from "../http/problem.ts";

/** Tenants as answers show them. Which of them a transaction sees is decided by row-level security: a tenant itself, the platform all. */
export function selectTenants(database: TenantDatabase) {
  return database
    .selectFrom("downbeat.tenants")
    .select(["id", "slug", "name", "created_at", "updated_at"])
    .select(["interval_seconds_min", "schedules_max", "runs_per_day_max"])
    .select(["maintenance_from", "maintenance_until", "maintenance_reason"])
    .select(
      // Not `now()`: one that this very transaction has begun began after it.
      fragment<boolean>`coalesce(maintenance_from <= clock_timestamp() and (maintenance_until is null or maintenance_until > clock_timestamp()), false)`.as(
        "is_in_maintenance",
      ),
    );
}

type TenantRow = Awaited<ReturnType<ReturnType<typeof selectTenants>["executeTakeFirstOrThrow"]>>;

export async function findTenant(database: TenantDatabase, idOrSlug: string): Promise<TenantRow> {
  const row = await selectTenants(database)
    .where(isUuid(idOrSlug) ? "id" : "slug", "=", idOrSlug)
    .executeTakeFirst();
  if (row === undefined) throw new Problem("not_found", { detail: "There is no such tenant." });
  return row;
}

export function toTenant(row: TenantRow) {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    limits: {
      interval_seconds_min: row.interval_seconds_min,
      schedules_max: row.schedules_max,
      runs_per_day_max: row.runs_per_day_max,
    },
    maintenance:
      row.maintenance_from === null
        ? null
        : {
            from: row.maintenance_from.toISOString(),
            until: row.maintenance_until?.toISOString() ?? null,
            reason: row.maintenance_reason,
            is_active: row.is_in_maintenance,
          },
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
