import type { Sql } from "@downbeat/store/connect.ts";
import { Webhook } from "standardwebhooks";
import { expect } from "vitest";
import type { World } from "./world.ts";

export interface LedgerRun {
  id: string;
  scheduleId: string;
  state: string;
  attempt: number;
  redrives: number;
  /** Outcomes of its attempts, in order. */
  outcomes: string[];
}

export function readLedger(sql: Sql): Promise<LedgerRun[]> {
  return sql<LedgerRun[]>`
    select run.id, run.schedule_id as "scheduleId", run.state, run.attempt, run.redrives,
      array(
        select outcome from downbeat.attempts attempt where attempt.tenant_id = run.tenant_id and attempt.run_id = run.id order by attempt.attempt
      ) as outcomes
    from downbeat.runs run order by run.id`;
}

export async function statesOf(sql: Sql): Promise<Record<string, number>> {
  const rows = await sql<{ state: string; runs: number }[]>`select state, count(*)::int as runs from downbeat.runs group by state`;
  return Object.fromEntries(rows.map(({ state, runs }) => [state, runs]));
}

/** How often each run was called, by `webhook-id`. Every call must verify with the stock library (checker C4). */
export function callsByRun({ receiver, endpoint }: World): Map<string, number> {
  const webhook = new Webhook(endpoint.secret);
  const calls = new Map<string, number>();
  for (const { headers, body } of receiver.calls) {
    const id = String(headers["webhook-id"]);
    expect(webhook.verify(body, headers as Record<string, string>)).toMatchObject({ run_id: id });
    calls.set(id, (calls.get(id) ?? 0) + 1);
  }
  return calls;
}

/** The receiver's log against the ledger (checker C1): `count` runs, each succeeded, each called exactly once, and no call of anything else. */
export async function expectEachDeliveredOnce(world: World, count: number): Promise<LedgerRun[]> {
  const ledger = await readLedger(world.sql);
  const calls = callsByRun(world);
  expect(ledger.filter(({ state }) => state !== "succeeded")).toEqual([]);
  expect([...calls].filter(([, times]) => times !== 1)).toEqual([]);
  expect([...calls.keys()].sort()).toEqual(ledger.map(({ id }) => id));
  expect(ledger).toHaveLength(count);
  return ledger;
}

/**
 * Exactly one row for each schedule and each occurrence from `anchorAt` up to, but not including, `endAt` (promise P1), and each of those runs succeeded and was called.
 */
export async function expectEveryOccurrence(world: World, rule: { anchorAt: number; endAt: number; everyMs: number }): Promise<void> {
  const schedules = await world.sql<{ id: string; occurrences: number[] }[]>`
    select schedule.id, array(
      select (extract(epoch from scheduled_for) * 1000)::float8 from downbeat.runs run
      where run.tenant_id = schedule.tenant_id and run.schedule_id = schedule.id and run.state = 'succeeded' order by scheduled_for
    ) as occurrences
    from downbeat.schedules schedule`;
  const wanted = Array.from({ length: (rule.endAt - rule.anchorAt) / rule.everyMs }, (_, index) => rule.anchorAt + index * rule.everyMs);
  for (const { occurrences } of schedules) expect(occurrences).toEqual(wanted);
  const ledger = await readLedger(world.sql);
  expect(ledger).toHaveLength(schedules.length * wanted.length);
  expect([...callsByRun(world).keys()].sort()).toEqual(ledger.map(({ id }) => id));
}
