import type { Sql } from "@downbeat/store/connect.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { dueAtOf, type ScheduleSet } from "./due-index-load.ts";
import type { Layout } from "./due-index-layouts.ts";
import { cpuSeconds } from "./process-cpu.ts";

/** A layout with its schedules in a database of its own. */
export interface Contender {
  name: string;
  layout: Layout;
  set: ScheduleSet;
  /** An administrator's connection. */
  admin: Sql;
  /** The dispatcher's: one session, so that its work can be told from all other. */
  sql: Sql;
  /** Rounds claimed so far. */
  round: number;
  vacuumEvery?: number;
}

/** What claiming once all that is due took. Everything but the rate is for 1,000 schedules, and of the claiming session alone. */
export interface Round {
  ratePerSecond: number;
  postgresMs: number;
  nodeMs: number;
  walKb: number;
  /** Pages written whole into the log, because a checkpoint lay between this write and the one before. */
  fullPages: number;
}

const log = createLog("bench", "error");

/** Claims one round of what is due, in batches of 1,000, until nothing is. */
export async function claimRound(contender: Contender): Promise<Round> {
  const { layout, set, sql } = contender;
  const horizonMs = dueAtOf(set, contender.round) + 1 - Date.now();
  const before = await usage(sql);
  const startedAt = performance.now();
  let claimed = 0;
  for (;;) {
    const schedules = await layout.claim({ sql, log, horizonMs });
    claimed += schedules;
    if (!(schedules >= 1_000) || claimed > set.due) break;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const after = await usage(sql);
  if (claimed !== set.due)
    throw new Error(`${contender.name}: ${claimed} schedules claimed in round ${contender.round}, ${set.due} were due`);
  contender.round += 1;
  if (contender.vacuumEvery !== undefined && contender.round % contender.vacuumEvery === 0) {
    await contender.admin.unsafe(`vacuum downbeat.${layout.table}`);
  }
  const per1000 = (value: number) => (value / claimed) * 1_000;
  return {
    ratePerSecond: claimed / seconds,
    postgresMs: per1000(after.postgresMs - before.postgresMs),
    nodeMs: per1000(after.nodeMs - before.nodeMs),
    walKb: per1000((after.walBytes - before.walBytes) / 1_024),
    fullPages: per1000(after.fullPages - before.fullPages),
  };
}

/** `rounds` rounds of each, in turn (a b c, a b c, …), so that whatever else the machine does falls on all of them. */
export async function claimInTurn(contenders: readonly Contender[], rounds: number): Promise<Round[][]> {
  const results: Round[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) results[index]?.push(await claimRound(contender));
  }
  return results;
}

async function usage(sql: Sql) {
  // Postgres publishes a session's counters up to a second late unless it is asked.
  await sql`select pg_stat_force_next_flush()`;
  const [row] = await sql<{ pid: number; walBytes: number; fullPages: number }[]>`
    select pg_backend_pid() as pid, wal_bytes::float8 as "walBytes", wal_fpi::float8 as "fullPages" from pg_stat_get_backend_wal(pg_backend_pid())`;
  if (row === undefined) throw new Error("the server did not answer");
  const node = process.cpuUsage();
  return { ...row, postgresMs: (await cpuSeconds(row.pid)) * 1_000, nodeMs: (node.user + node.system) / 1_000 };
}

/** Sizes in MB, and what the claims have left behind. */
export async function storageOf({ layout, admin }: Contender): Promise<Record<string, string>> {
  const [row] = await admin<{ table: number; index: number; key: number; dead: number }[]>`
    select pg_relation_size(${`downbeat.${layout.table}`}::regclass)::float8 as table,
      pg_relation_size(${`downbeat.${layout.index}`}::regclass)::float8 as index,
      pg_relation_size(${`downbeat.${layout.table}_pkey`}::regclass)::float8 as key,
      (select n_dead_tup from pg_stat_user_tables where relid = ${`downbeat.${layout.table}`}::regclass)::float8 as dead`;
  if (row === undefined) throw new Error("the server did not answer");
  const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(1);
  return {
    "table MB": megabytes(row.table),
    "due index MB": megabytes(row.index),
    "primary key MB": megabytes(row.key),
    "dead rows": String(row.dead),
  };
}
