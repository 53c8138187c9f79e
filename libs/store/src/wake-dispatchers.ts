import type { Sql } from "./connect.ts";
import { dueChannel } from "./listen-for-due.ts";

/** Asks the dispatchers for a pass now. One that does not hear it comes with its next tick. */
export async function wakeDispatchers(sql: Sql): Promise<void> {
  await sql`select pg_notify(${dueChannel}, '')`;
}
