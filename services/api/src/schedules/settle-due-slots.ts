import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { dueLimits, planDropped, planDue, type Timing } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import { type Decided, insertDecided } from "./insert-decided.ts";
import type { LockedSchedule } from "./lock-schedule.ts";
import { timingOf } from "./stored-rule.ts";

/**
 * Before an edit moves or takes away a schedule's watermark, writes the runs of the slots that fell due before it and that no dispatcher has claimed (it was away, or a moment late).
 * An edit never takes back a slot that was due: without this, pausing or deleting during an outage would lose occurrences without a trace. What runs and what counts as missed is
 * decided by the dispatcher's own rule, `planDue`, and what fell into maintenance is skipped as the dispatcher would; whether a run may run beside others is decided when it is leased.
 */
export async function settleDueSlots(database: TenantDatabase, locked: LockedSchedule): Promise<void> {
  const { rule, watermark, editedAt } = locked;
  // What fell into a pause is not due; resuming decides about it.
  if (watermark === null || rule.paused_at !== null || watermark > editedAt) return;
  const settler = new Settler(await timingOf(database, rule), watermark.getTime(), editedAt.getTime());
  try {
    settler.settle(await readMaintenance(database, rule.tenant_id));
  } catch (error) {
    // No dispatcher could have evaluated it either; it must still be possible to pause or delete it.
    if (!(error instanceof UnusableRuleError)) throw error;
  }
  await insertDecided(database, rule, settler, editedAt);
}

interface Maintenance {
  from: Instant;
  until: Instant;
}

async function readMaintenance(database: TenantDatabase, tenantId: string): Promise<Maintenance | null> {
  const tenant = await database
    .selectFrom("downbeat.tenants")
    .select(["maintenance_from", "maintenance_until"])
    .where("id", "=", tenantId)
    .executeTakeFirst();
  const from = tenant?.maintenance_from?.getTime();
  return from === undefined ? null : { from, until: tenant?.maintenance_until?.getTime() ?? Infinity };
}

/** Walks a schedule's watermark up to `nowAt`, through what was due before a maintenance, in it and after it. */
class Settler implements Decided {
  readonly due: Occurrence[] = [];
  readonly stretches: Decided["stretches"][number][] = [];
  readonly #timing: Timing;
  readonly #nowAt: Instant;
  #next: Instant | null;

  constructor(timing: Timing, watermarkAt: Instant, nowAt: Instant) {
    this.#timing = timing;
    this.#next = watermarkAt;
    this.#nowAt = nowAt;
  }

  settle(maintenance: Maintenance | null): void {
    const endAt = this.#nowAt + 1;
    if (maintenance === null || maintenance.from > this.#nowAt) return this.#plan(endAt);
    this.#plan(maintenance.from);
    this.#drop(Math.min(maintenance.until, endAt));
    this.#plan(endAt);
  }

  /** Decides about what was due before `endAt`. */
  #plan(endAt: Instant): void {
    while (this.#next !== null && this.#next < endAt) {
      const fromAt: Instant = this.#next;
      const lateAt = Math.min(this.#nowAt, endAt);
      const plan = planDue({ timing: this.#timing, fromAt, nowAt: lateAt, untilAt: endAt, ...dueLimits });
      // What is made up for starts now, not at the beginning of a maintenance that may be over.
      this.due.push(...plan.due.map(({ at, dueAt }) => ({ at, dueAt: dueAt === lateAt ? this.#nowAt : dueAt })));
      this.stretches.push(...plan.missed.map((stretch) => ({ ...stretch, state: "missed" as const })));
      this.#next = plan.next?.at ?? null;
      if (this.#next === fromAt) return;
    }
  }

  #drop(untilAt: Instant): void {
    if (this.#next === null || this.#next >= untilAt) return;
    const { dropped, next } = planDropped({ timing: this.#timing, fromAt: this.#next, untilAt, keptMax: 0, nowAt: this.#nowAt });
    if (dropped !== null) this.stretches.push({ ...dropped, state: "skipped", reason: "maintenance" });
    this.#next = next?.at ?? null;
  }
}
