import type { TransactionSql } from "@downbeat/store/connect.ts";
import { loadCalendars } from "@downbeat/store/load-calendars.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import { readGates } from "@downbeat/store/read-gates.ts";
import { lockBudgets } from "@downbeat/store/tenant-budgets.ts";
import { needsGate } from "./plan-claim.ts";
import type { ClaimState } from "./plan-schedule.ts";

/** Reads what a claim of these schedules needs besides their rules. On an ordinary pass nothing is late and nothing limited, and no statement is sent. */
export async function readClaimState(sql: TransactionSql, due: readonly DueSchedule[]): Promise<ClaimState> {
  const calendars = await loadCalendars(sql, [...new Set(due.flatMap(({ calendarIds }) => calendarIds ?? []))]);
  const gates = new Map((await readGates(sql, due.filter(needsGate))).map((gate) => [gate.scheduleId, gate]));
  const limits = new Map(
    due.flatMap(({ tenantId, runsPerDayMax }) => (runsPerDayMax === null ? [] : [[tenantId, runsPerDayMax] as const])),
  );
  return { calendars, gates, budgets: await lockBudgets(sql, limits) };
}
