import type { Sql, TransactionSql } from "@downbeat/store/connect.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const tenants = 1_000;

/** Schedules as a bench wants them: hourly ones in `groups` of `due`, one group for each minute, and the rest idle, a month away. */
export interface ScheduleSet {
  schedules: number;
  due: number;
  groups: number;
  /** When the first group is due, in ms since 1970: the next full hour. */
  firstAt: number;
  /** Size of each schedule's `input`, in bytes. */
  inputBytes: number;
  /** The wide layout keeps `next_run_at` in `schedules`, the narrow one in `schedule_due`. */
  isWide: boolean;
}

export interface LoadOptions extends Pick<ScheduleSet, "schedules" | "due" | "inputBytes" | "isWide"> {
  /** Different sets of due schedules, at most 60. With one group each round claims the same rows; with many, rows nobody has read for a long time. */
  groupsMax?: number;
}

/**
 * Writes the schedules in bulk: two thirds cron in three zones and one third intervals, of 1,000 tenants, in random order, so that those due together lie on different pages as
 * they do in life.
 */
export async function loadSchedules(sql: Sql, { groupsMax = 60, ...options }: LoadOptions): Promise<ScheduleSet> {
  const groups = Math.max(1, Math.min(60, groupsMax, Math.floor(options.schedules / options.due)));
  const set = { ...options, groups, firstAt: Math.ceil(Date.now() / hourMs) * hourMs };
  await sql`insert into downbeat.tenants (slug, name) select 'bench-' || n, 'Bench' from generate_series(1, ${tenants}) n`;
  await sql`insert into downbeat.endpoints (tenant_id, name, base_url) select id, 'receiver', 'http://127.0.0.1:9' from downbeat.tenants`;
  await addSchedules(sql, set, 0);
  return set;
}

/** Writes the schedules of the set from number `from` on: those that are due have the low numbers. */
export async function addSchedules(sql: Sql, set: ScheduleSet, from: number): Promise<void> {
  await sql.begin(async (transaction) => {
    // No foreign-key triggers for a million rows that are right by construction.
    await transaction`set local session_replication_role = replica`;
    await makeRows(transaction, set, from);
    const columns = transaction`tenant_id, id, name, kind, cron_expression, timezone, interval_seconds, anchor_at, endpoint_id, target, input`;
    const values = transaction`
      tenant_id, id, 'Nightly report ' || number, case when is_interval then 'interval' else 'cron' end,
      case when is_interval then null when is_due then minute || ' * * * *' else '0 9 1 1 *' end,
      (array['UTC', 'Europe/Berlin', 'America/New_York'])[1 + (number / 420) % 3],
      case when not is_interval then null when is_due then 3600 else 86400 * 365 end,
      case when is_interval then next_run_at end,
      endpoint_id, '{"type": "http", "method": "POST", "path": "/hook"}'::jsonb,
      jsonb_build_object('text', repeat(md5(number::text), ${Math.round(set.inputBytes / 32)}::int))`;
    if (set.isWide) {
      await transaction`insert into downbeat.schedules (${columns}, next_run_at) select ${values}, next_run_at from made`;
    } else {
      await transaction`insert into downbeat.schedules (${columns}) select ${values} from made`;
      await transaction`insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at) select tenant_id, id, next_run_at from made`;
    }
  });
  await sql`vacuum analyze downbeat.schedules`;
  await sql`vacuum analyze downbeat.schedule_due`;
  await sql`checkpoint`;
}

async function makeRows(transaction: TransactionSql, { schedules, due, groups, firstAt }: ScheduleSet, from: number): Promise<void> {
  await transaction`
    create temporary table made on commit drop as
    with owner as (
      select tenant_id, id as endpoint_id, (row_number() over ()) - 1 as number from downbeat.endpoints
    )
    select owner.tenant_id, gen_random_uuid() as id, endpoint_id, n as number, n < ${groups * due} as is_due, n % ${groups} as minute,
      (n / 60) % 3 = 0 as is_interval,
      to_timestamp(${firstAt / 1_000}::float8) + case when n < ${groups * due}
        then (n % ${groups}) * interval '1 minute'
        else interval '30 days' + (random() * 1440)::int * interval '1 minute'
      end as next_run_at
    from generate_series(${from}::int, ${schedules - 1}::int) n join owner on owner.number = (n / ${groups}) % ${tenants}
    order by random()`;
}

/** When round `round` (from 0) is due: each minute another group, and the first again an hour later. ms since 1970. */
export function dueAtOf({ groups, firstAt }: ScheduleSet, round: number): number {
  return firstAt + Math.floor(round / groups) * hourMs + (round % groups) * minuteMs;
}
