import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";

/**
 * Who binds a schedule to a calendar and who changes or deletes that calendar must not pass each other by: the one would compute the schedule's next occurrence from entries that are no more,
 * the other would not know that there is such a schedule. Between them stand advisory locks, shared and exclusive, because the rows of an installation's calendars are not a tenant's to lock.
 *
 * Order: after the locks of schedules. An edit of a schedule holds its schedule when it asks for its calendars; a change of a calendar locks the schedules it knows of, then the
 * calendar, and then looks again whether others have come meanwhile.
 */

/** Keeps these calendars from being changed or deleted until the transaction ends. What was read of them before may be out of date: read it again. */
export async function holdCalendars(database: TenantDatabase, ids: readonly string[]): Promise<void> {
  for (const id of [...ids].sort()) {
    await database.selectNoFrom(fragment`pg_advisory_xact_lock_shared(${keyOf(id)})`.as("held")).execute();
  }
}

/** Keeps everybody else from binding a schedule to this calendar until the transaction ends. */
export async function lockCalendar(database: TenantDatabase, id: string): Promise<void> {
  await database.selectNoFrom(fragment`pg_advisory_xact_lock(${keyOf(id)})`.as("locked")).execute();
}

function keyOf(id: string) {
  return fragment`hashtextextended(${`downbeat.calendars ${id}`}, 0)`;
}
