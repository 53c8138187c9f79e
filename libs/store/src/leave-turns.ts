import type { Sql } from "./connect.ts";
import { turnKeys } from "./take-turn.ts";

/** Frees the turns of a dispatcher that ends, so that the next one need not wait until it is taken for dead. Index: primary key. */
export async function leaveTurns(sql: Sql, holder: string): Promise<void> {
  await sql`
    update downbeat.system_state
    set value = value || '{"holder": null}'
    where key = any(${turnKeys as unknown as string[]}::text[]) and value->>'holder' = ${holder}`;
}
