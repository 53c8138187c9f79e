import type { Sql } from "@downbeat/store/connect.ts";
import { ensurePartitions } from "@downbeat/store/ensure-partitions.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { claimDue } from "@downbeat/dispatcher/claim-due.ts";
import { planClaim } from "@downbeat/dispatcher/plan-claim.ts";
import { insertClaimedWide, lockDueWide } from "./due-index-wide.ts";

const batchSize = 1_000;
const publishTimeoutMs = 10_000;

export interface ClaimOptions {
  sql: Sql;
  log: Log;
  horizonMs: number;
}

/** A place to keep `next_run_at`, and the claim that goes with it. */
export interface Layout {
  name: string;
  /** Where `next_run_at` lives. */
  table: "schedules" | "schedule_due";
  index: string;
  /** Brings a migrated, empty database to this layout. Said for every layout, whatever the migrations make today. */
  ddl: string;
  /** One batch; answers the schedules claimed. */
  claim(options: ClaimOptions): Promise<number>;
}

const narrowIndex = "schedule_due_next_run_at";

function narrow(name: string, columns: string, fillfactor: number): Layout {
  return {
    name,
    table: "schedule_due",
    index: narrowIndex,
    ddl: `
      drop index if exists downbeat.${narrowIndex};
      create index ${narrowIndex} on downbeat.schedule_due ${columns};
      alter table downbeat.schedule_due set (fillfactor = ${fillfactor});`,
    claim: async (options) => (await claimDue({ ...options, batchSize, publishTimeoutMs })).runs.length,
  };
}

export const layouts = {
  narrow: narrow("narrow", "(next_run_at)", 100),
  narrowCovering: narrow("narrow, covering index", "(next_run_at) include (tenant_id, schedule_id)", 100),
  narrowLoose: narrow("narrow, fillfactor 70", "(next_run_at)", 70),
  wide: {
    name: "wide",
    table: "schedules",
    index: "schedules_next_run_at",
    ddl: `
      alter table downbeat.schedules add next_run_at timestamptz;
      create index schedules_next_run_at on downbeat.schedules (next_run_at) where next_run_at is not null;
      grant update (next_run_at) on downbeat.schedules to downbeat_dispatcher;`,
    claim: claimWide,
  },
} satisfies Record<string, Layout>;

/** `claimDue` of the dispatcher, for the wide row. */
function claimWide({ sql, horizonMs }: ClaimOptions): Promise<number> {
  return sql.begin(async (transaction) => {
    const due = await lockDueWide(transaction, { horizonMs, schedulesMax: batchSize });
    const [first] = due;
    if (first === undefined) return 0;
    const plan = planClaim(due, horizonMs);
    await ensurePartitions(
      transaction,
      plan.runs.map((run) => run.scheduledFor),
      first.nowAt,
    );
    await insertClaimedWide(transaction, { ...plan, publishTimeoutMs });
    return due.length;
  }) as Promise<number>;
}
