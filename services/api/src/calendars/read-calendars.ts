import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { type RawBuilder, sql as fragment } from "kysely";
import { type Caller, tenantOf } from "../http/authenticate.ts";
import { isUuid } from "../http/field-types.ts";
import { Problem } from "../http/problem.ts";

/** Calendars with whose they are. What a transaction sees of them is decided by row-level security: a tenant its own and the installation's. */
export function selectCalendars(database: TenantDatabase) {
  return database
    .selectFrom("downbeat.calendars as calendar")
    .leftJoin("downbeat.tenants as tenant", "tenant.id", "calendar.tenant_id")
    .selectAll("calendar")
    .select("tenant.slug as tenant_slug");
}

export type CalendarRow = Awaited<ReturnType<ReturnType<typeof selectCalendars>["executeTakeFirstOrThrow"]>>;

/**
 * Finds one calendar by id or name. Of a name that is there twice, the caller's own is meant: a tenant's, or for an administrator who named no tenant, the installation's. Such an
 * administrator may use the name of a tenant's calendar as long as only one tenant has it.
 */
export async function findCalendar(database: TenantDatabase, caller: Caller, idOrName: string): Promise<CalendarRow> {
  const found = selectCalendars(database).where(isUuid(idOrName) ? "calendar.id" : "calendar.name", "=", idOrName);
  const rows = await (caller.tenant === null ? found.limit(3) : found.where(isReadableBy(caller.tenant.id)))
    .orderBy(fragment`calendar.tenant_id is not null`)
    .execute();
  const own = rows.find((row) => row.tenant_id === ownerOf(caller));
  const [row, other] = rows;
  if (row === undefined) throw calendarNotFound();
  if (own !== undefined) return own;
  // Several tenants have this name: which one is meant, only the caller knows.
  if (other !== undefined) tenantOf(caller);
  return row;
}

/** Finds a calendar that the caller may change: a tenant its own, an administrator who named no tenant the installation's. */
export async function findOwnCalendar(database: TenantDatabase, caller: Caller, idOrName: string): Promise<CalendarRow> {
  const row = await findCalendar(database, caller, idOrName);
  if (row.tenant_id === ownerOf(caller)) return row;
  // A tenant's calendar, for an administrator who has not said for which tenant.
  tenantOf(caller);
  throw new Problem("forbidden", {
    detail: `The calendar "${row.name}" belongs to the installation: only an administrator may change it, with a request that names no tenant.`,
  });
}

/** Whose calendars a caller writes: its tenant's, or null for the installation's. */
export function ownerOf({ tenant }: Caller): string | null {
  return tenant?.id ?? null;
}

function isReadableBy(tenantId: string): RawBuilder<boolean> {
  return fragment<boolean>`(calendar.tenant_id = ${tenantId}::uuid or calendar.tenant_id is null)`;
}

export function calendarNotFound(): Problem {
  return new Problem("not_found", { detail: "There is no such calendar." });
}

/**
 * Schedules that use a calendar and are not deleted. A tenant's calendar is used by its own only, and naming the tenant lets the planner use the key; those of an
 * installation's are looked for among all.
 */
export function selectUsers(database: TenantDatabase, { id, tenant_id: tenantId }: Pick<CalendarRow, "id" | "tenant_id">) {
  const users = database
    .selectFrom("downbeat.schedules as rule")
    .where("rule.deleted_at", "is", null)
    .where(fragment<boolean>`rule.calendar_ids <> '{}' and rule.calendar_ids @> array[${id}::uuid]`);
  return tenantId === null ? users : users.where("rule.tenant_id", "=", tenantId);
}

export async function countUsers(database: TenantDatabase, calendar: Pick<CalendarRow, "id" | "tenant_id">): Promise<number> {
  const { count } = await selectUsers(database, calendar)
    .select((query) => query.fn.countAll<string>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Entries as the column takes them: as JSON in text, because a text that is given for `jsonb` would be made a JSON string. */
export function entriesColumn(entries: readonly string[]): RawBuilder<string> {
  return fragment<string>`${JSON.stringify(entries)}::text::jsonb`;
}

export function toCalendarAnswer(row: CalendarRow) {
  return {
    id: row.id,
    scope: row.tenant_id === null ? ("installation" as const) : ("tenant" as const),
    tenant: row.tenant_id === null ? null : { id: row.tenant_id, slug: row.tenant_slug ?? "" },
    name: row.name,
    kind: row.kind,
    timezone: row.timezone,
    entries: row.entries,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
