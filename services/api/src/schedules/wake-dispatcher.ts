import { dueChannel } from "@downbeat/store/listen-for-due.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";

/** Tells the dispatchers, when this transaction commits, that something became due sooner than they know. Lost, it costs the time until the next pass. */
export async function wakeDispatcher(database: TenantDatabase): Promise<void> {
  await database.selectNoFrom(fragment`pg_notify(${dueChannel}, '')`.as("told")).execute();
}
