import type { Sql, TransactionSql } from "./connect.ts";

const dayMs = 86_400_000;

/** Partitions are kept ready this many days ahead, so that a night without any dispatcher costs nothing. */
const readyDays = 7;

/**
 * Makes the partitions of the coming days where they are missing, days before anything is written there. Attaching one waits for nobody who reads or writes.
 */
export async function readyPartitions(sql: Sql): Promise<void> {
  await sql`select downbeat.ensure_run_partitions(now() - interval '1 day', now() + ${readyDays}::int * interval '1 day')`;
}

/**
 * Makes the partitions that a claim of these instants (ms since 1970) needs, if any lies outside the days that are kept ready: after a long downtime, stretches of
 * missed occurrences are dated in the past.
 */
export async function ensurePartitions(sql: TransactionSql, instants: readonly number[], nowAt: number): Promise<void> {
  const today = Math.floor(nowAt / dayMs);
  const days = new Set(instants.map((at) => Math.floor(at / dayMs)));
  for (const day of days) {
    if (day >= today - 1 && day <= today + 1) continue;
    const at = (day * dayMs) / 1000;
    await sql`select downbeat.ensure_run_partitions(to_timestamp(${at}::float8), to_timestamp(${at}::float8))`;
  }
}
