import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";
import type { LockedSchedule } from "./lock-schedule.ts";
import { timingOf } from "./stored-rule.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import { UnusableRuleError } from "@downbeat/timing/rule.ts";

/**
 * The first occurrence after `since` that has no row: what had not been claimed ahead when a pause took the schedule out of the due index. Null when none is left.
 *
 * Index: the days' occurrence keys, from the day before `since` on.
 */
export async function firstUnclaimed(database: TenantDatabase, { rule }: LockedSchedule, since: Date): Promise<Date | null> {
  const { last } = await database
    .selectFrom("downbeat.runs")
    .select((run) => run.fn.max("scheduled_for").as("last"))
    .where("tenant_id", "=", rule.tenant_id)
    .where("schedule_id", "=", rule.id)
    .where("trigger_id", "=", "")
    .where("scheduled_for", ">", since)
    .where(fragment<boolean>`id >= downbeat.first_run_id(${since})`)
    .executeTakeFirstOrThrow();
  try {
    const at = nextOccurrence((await timingOf(database, rule)).rule, Math.max(since.getTime(), last?.getTime() ?? 0));
    return at === null ? null : new Date(at);
  } catch (error) {
    if (error instanceof UnusableRuleError) return null;
    throw error;
  }
}
