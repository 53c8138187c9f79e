import { databaseNow } from "./ledger.ts";
import type { System } from "./system.ts";
import { createTenant, type Tenant } from "./tenant.ts";

/** Schedules that are due once a minute each, evenly spread over it. */
export interface Minutely {
  tenant: Tenant;
  /** All occurrences are in `[firstAt, endAt)`, ms since 1970. */
  firstAt: number;
  endAt: number;
  /** Those of each schedule, by its id. Computed from the rule alone. */
  expected: ReadonlyMap<string, readonly number[]>;
}

const minuteMs = 60_000;

/** Each schedule ends by itself after `minutes` occurrences, so that what has to be is known beforehand. All of them run, however late and beside each other: what is lost is lost by a fault. */
export async function scheduleMinutely(
  system: System,
  { purpose, perMinute, minutes }: { purpose: string; perMinute: number; minutes: number },
): Promise<Minutely> {
  const tenant = await createTenant(system, purpose);
  // Late enough that all of them exist by then.
  const firstAt = Math.ceil((await databaseNow(system.sql)) / 1_000) * 1_000 + 10_000 + 60 * perMinute;
  const endAt = firstAt + minutes * minuteMs;
  const instants = Array.from({ length: perMinute }, (_, index) => firstAt + Math.floor((index * minuteMs) / perMinute));
  const created = await tenant.schedule(
    instants.map((at, index) => ({
      name: `minutely-${index + 1}`,
      interval_seconds: 60,
      // An interval's first occurrence is one interval after its anchor.
      anchor_at: new Date(at - minuteMs).toISOString(),
      starts_at: new Date(firstAt).toISOString(),
      ends_at: new Date(endAt - 1).toISOString(),
      target: { path: `/hook?delay_ms=${receiverDelayMs}` },
      misfire: "all",
      grace_seconds: null,
      overlap: "allow",
      max_instances: 1_000,
    })),
  );
  const expected = new Map<string, number[]>();
  for (const [index, { id, next_run_at: next }] of created.entries()) {
    const at = instants[index] ?? Number.NaN;
    if (next === null || Date.parse(next) !== at) {
      throw new Error(
        `creating ${perMinute} schedules took longer than thought: the one of ${new Date(at).toISOString()} begins at ${next}`,
      );
    }
    expected.set(
      id,
      Array.from({ length: minutes }, (_, minute) => at + minute * minuteMs),
    );
  }
  return { tenant, firstAt, endAt, expected };
}

/** A target that answers as fast as a good one does, so that now and then a call is in flight when an executor is killed. */
const receiverDelayMs = 50;
