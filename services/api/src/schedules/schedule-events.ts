import type { ScheduleEventTable } from "@downbeat/store/database.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Caller } from "../http/authenticate.ts";
import type { ScheduleKey } from "./lock-schedule.ts";

export interface ScheduleEvent {
  /** Who did it, as `actorOf` names a caller. */
  actor: string;
  /** The instant of the edit, where that is later than the beginning of its transaction. */
  at?: Date;
  event: ScheduleEventTable["event"];
  reason?: string | null;
  /** Kept as JSON: instants as texts. */
  detail?: Readonly<Record<string, unknown>>;
}

/** Writes an entry of a schedule's journal, in the transaction of what it tells. */
export async function recordScheduleEvent(
  database: TenantDatabase,
  { tenantId, scheduleId }: ScheduleKey,
  event: ScheduleEvent,
): Promise<void> {
  const { actor, at, reason = null, detail = {} } = event;
  await database
    .insertInto("downbeat.schedule_events")
    .values({
      tenant_id: tenantId,
      schedule_id: scheduleId,
      actor,
      event: event.event,
      reason,
      detail,
      ...(at === undefined ? {} : { at }),
    })
    .execute();
}

/** How the journal names whoever asks: by the id of the key, which is no secret. */
export function actorOf({ keyId }: Caller): string {
  return `key ${keyId}`;
}
