import type { Sql } from "./connect.ts";

/** What one dispatcher pass did. Instants in ms since 1970. */
export interface PassRecord {
  dispatcher: string;
  startedAt: number;
  finishedAt: number;
  claimed: number;
  missed: number;
  sent: number;
  sendFailed: number;
  swept: number;
  error: string | null;
}

/** Passes older than this are forgotten: the log has them. */
const keptDays = 7;

/** Notes a pass and forgets the oldest ones. Index: dispatch_passes_started_at. */
export async function recordPass(sql: Sql, pass: PassRecord): Promise<void> {
  await sql`
    with forgotten as (delete from downbeat.dispatch_passes where started_at < now() - ${keptDays}::int * interval '1 day')
    insert into downbeat.dispatch_passes (dispatcher, started_at, finished_at, claimed, missed, sent, send_failed, swept, error)
    values (${pass.dispatcher}, to_timestamp(${pass.startedAt}::float8 / 1000), to_timestamp(${pass.finishedAt}::float8 / 1000), ${pass.claimed},
      ${pass.missed}, ${pass.sent}, ${pass.sendFailed}, ${pass.swept}, ${pass.error})`;
}
