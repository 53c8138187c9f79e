import { until } from "@downbeat/testkit/until.ts";
import { allEnded, databaseNow, type LedgerRun, readLedger } from "./ledger.ts";
import type { Call } from "./receiver-log.ts";
import type { System } from "./system.ts";
import { createTenant, type Tenant } from "./tenant.ts";

export interface LoadOptions {
  purpose: string;
  /** How many schedules. */
  schedules: number;
  /** How often each of them is due. Default: each second. */
  everySeconds?: number;
  /** How long the receiver takes to answer, in ms: with a second's worth of it, every executor has calls in flight at any time. */
  delayMs?: number;
}

/** What came of a load: what had to be, what is recorded, and what the receiver saw. */
export interface LoadResult {
  tenant: Tenant;
  /** For each schedule what its rule and the instant at which it was paused say, and nothing else. */
  expected: ReadonlyMap<string, Expected>;
  ledger: readonly LedgerRun[];
  calls: readonly Call[];
}

export interface Expected {
  /** The occurrences up to and with the instant of the pause, in ms since 1970: what was due still runs. */
  occurrences: readonly number[];
  /** Occurrences between the two were perhaps leased already, and then ran. Later ones were taken back. */
  pausedAt: number;
  withdrawnFrom: number;
}

/** Longer than any test; a load whose test was interrupted ends by itself. */
const livesMsMax = 30 * 60_000;

/** An executor leases a run this long before its instant; a pause takes it back no more. */
const leaseAheadMs = 250;

/** Schedules that are due every second or few until the load is stopped. All of their occurrences run, however late and beside each other: what is lost is lost by a fault and not by a policy. */
export class Load {
  readonly tenant: Tenant;
  readonly #system: System;
  /** The first occurrence of each schedule, by id; ms since 1970. */
  readonly #firstAt: ReadonlyMap<string, number>;
  readonly #everyMs: number;

  private constructor(system: System, tenant: Tenant, rule: { firstAt: ReadonlyMap<string, number>; everyMs: number }) {
    this.#system = system;
    this.tenant = tenant;
    this.#firstAt = rule.firstAt;
    this.#everyMs = rule.everyMs;
  }

  static async start(system: System, { purpose, schedules: count, everySeconds = 1, delayMs = 300 }: LoadOptions): Promise<Load> {
    const tenant = await createTenant(system, purpose);
    const anchorAt = Math.floor((await databaseNow(system.sql)) / 1_000) * 1_000;
    const created = await tenant.schedule(
      Array.from({ length: count }, (_, index) => ({
        name: `load-${index + 1}`,
        interval_seconds: everySeconds,
        anchor_at: new Date(anchorAt).toISOString(),
        ends_at: new Date(anchorAt + livesMsMax).toISOString(),
        target: { path: `/hook?delay_ms=${delayMs}` },
        misfire: "all",
        grace_seconds: null,
        overlap: "allow",
        max_instances: 1_000,
      })),
    );
    // The first occurrence of each is what the API answered: the first one after it was created.
    const firstAt = new Map(created.map(({ id, next_run_at: next }) => [id, Date.parse(next ?? "")]));
    return new Load(system, tenant, { firstAt, everyMs: everySeconds * 1_000 });
  }

  /** Resolves when `count` more calls have been made for it than before. */
  async flows(count: number): Promise<void> {
    const before = (await this.tenant.calls()).length;
    await until(`${count} calls of ${this.tenant.slug}`, async () => (await this.tenant.calls()).length >= before + count, {
      deadlineMs: this.#system.settleMsMax,
      everyMs: 100,
    });
  }

  /** The executors that have a call of it in flight. */
  async callers(): Promise<string[]> {
    const rows = await this.#system.sql<{ executor: string }[]>`
      select distinct executor from downbeat.runs where tenant_id = ${this.tenant.id} and state = 'running' and executor is not null`;
    return rows.map(({ executor }) => executor);
  }

  /** Pauses the schedules and waits until every run has come to its end. */
  async stop(): Promise<LoadResult> {
    const { sql, settleMsMax } = this.#system;
    await this.tenant.rest.call("POST", "/schedules/bulk", { action: "pause", filter: { all: true } });
    await allEnded(sql, this.tenant, settleMsMax);
    const pauses = await sql<{ id: string; at: number }[]>`
      select id, (extract(epoch from paused_at) * 1000)::float8 as at from downbeat.schedules where tenant_id = ${this.tenant.id}`;
    const pausedAt = new Map(pauses.map(({ id, at }) => [id, at]));
    const expected = new Map(
      [...this.#firstAt].map(([id, firstAt]) => [id, expectedUntil(pausedAt.get(id) ?? Number.NaN, { firstAt, everyMs: this.#everyMs })]),
    );
    const result = { tenant: this.tenant, expected, ledger: await readLedger(sql, this.tenant.id), calls: await this.tenant.calls() };
    await this.tenant.clear();
    return result;
  }
}

function expectedUntil(pausedAt: number, { firstAt, everyMs }: { firstAt: number; everyMs: number }): Expected {
  const count = Math.floor((pausedAt - firstAt) / everyMs) + 1;
  const occurrences = Array.from({ length: count }, (_, index) => firstAt + index * everyMs);
  return { occurrences, pausedAt, withdrawnFrom: pausedAt + leaseAheadMs };
}
