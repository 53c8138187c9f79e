import { describeError } from "@downbeat/runtime/log.ts";
import type { Sql, TransactionSql } from "@downbeat/store/connect.ts";
import { lockDue } from "@downbeat/store/lock-due.ts";
import { takeOverdue } from "@downbeat/store/take-overdue.ts";
import type { DispatcherConfig } from "./config.ts";
import { planClaim } from "./plan-claim.ts";
import { readClaimState } from "./read-claim-state.ts";
import { sweepLimits } from "./sweep-overdue.ts";

export interface DryRunOptions {
  sql: Sql;
  config: Pick<DispatcherConfig, "HORIZON_SECONDS" | "PUBLISH_TIMEOUT_MS">;
  /** Slug or id. Default: all tenants. */
  tenant?: string | undefined;
}

/** What a pass would do now. Instants in ms since 1970. */
export interface DryRun {
  /** The database's clock. */
  nowAt: number;
  runs: { tenant: string; schedule: string; runId: string; scheduledFor: number; dueAt: number }[];
  /** Stretches that would be recorded without a run. */
  missed: { tenant: string; schedule: string; state: string; reason: string; from: number; to: number; count: number }[];
  /** Runs the sweep would take up, and why. */
  overdue: { tenant: string; runId: string; found: string; isSendable: boolean }[];
  /** Schedules whose rule cannot be evaluated. */
  broken: { tenant: string; schedule: string; error: string }[];
  /** True when more is due than was looked at. */
  isCut: boolean;
}

/** Thrown when `tenant` names nobody. */
export class UnknownTenantError extends Error {
  override readonly name = "UnknownTenantError";
}

const schedulesMax = 10_000;

/**
 * Answers what a pass would do, with the pass's own statements and planning, in a transaction that is rolled back: nothing is written, nothing is sent. While it looks, a dispatcher
 * passes over the rows it looks at and claims them with its next pass.
 */
export async function dryRun({ sql, config, tenant }: DryRunOptions): Promise<DryRun> {
  let answer: DryRun | undefined;
  const rollBack = new Error("a dry run writes nothing");
  await sql
    .begin(async (transaction) => {
      answer = await look(transaction, config, tenant);
      throw rollBack;
    })
    .catch((error: unknown) => {
      if (error !== rollBack) throw error;
    });
  if (answer === undefined) throw new Error("the dry run gave no answer");
  return answer;
}

async function look(sql: TransactionSql, config: DryRunOptions["config"], tenant: string | undefined): Promise<DryRun> {
  const tenants = await sql<{ id: string; slug: string; nowAt: number }[]>`
    select id, slug, (extract(epoch from now()) * 1000)::float8 as "nowAt" from downbeat.tenants
    ${tenant === undefined ? sql`` : sql`where slug = ${tenant} or id::text = ${tenant}`}`;
  const tenantId = tenant === undefined ? undefined : tenants[0]?.id;
  if (tenant !== undefined && tenantId === undefined) throw new UnknownTenantError(`there is no tenant "${tenant}"`);
  const horizonMs = config.HORIZON_SECONDS * 1_000;
  const due = await lockDue(sql, { horizonMs, schedulesMax, tenantId });
  const plan = planClaim(due, horizonMs, await readClaimState(sql, due));
  const overdue = await takeOverdue(sql, {
    ...sweepLimits,
    runsMax: schedulesMax,
    publishTimeoutMs: config.PUBLISH_TIMEOUT_MS,
    areLeasesJudged: true,
    leaseGraceMs: 0,
    tenantId,
  });
  const names = await sql<{ id: string; name: string }[]>`
    select id, name from downbeat.schedules
    where (tenant_id, id) in (select * from unnest(${due.map((row) => row.tenantId)}::uuid[], ${due.map((row) => row.scheduleId)}::uuid[]))`;
  const slugOf = new Map(tenants.map((row) => [row.id, row.slug]));
  const nameOf = new Map(names.map((row) => [row.id, row.name]));
  const named = (row: { tenantId: string; scheduleId: string }) => ({
    tenant: slugOf.get(row.tenantId) ?? row.tenantId,
    schedule: nameOf.get(row.scheduleId) ?? row.scheduleId,
  });
  return {
    nowAt: due[0]?.nowAt ?? tenants[0]?.nowAt ?? Date.now(),
    runs: plan.runs
      .map((run) => ({ ...named(run), runId: run.runId, scheduledFor: run.scheduledFor, dueAt: run.dueAt }))
      .sort((a, b) => a.scheduledFor - b.scheduledFor || a.schedule.localeCompare(b.schedule)),
    missed: plan.stretches.map((run) => ({
      ...named(run),
      state: run.state,
      reason: run.reason,
      from: run.rangeFrom,
      to: run.scheduledFor,
      count: run.rangeCount,
    })),
    overdue: overdue.map((run) => ({
      tenant: slugOf.get(run.tenantId) ?? run.tenantId,
      runId: run.runId,
      found: run.found,
      isSendable: run.isSendable,
    })),
    broken: [
      ...plan.broken.map(({ schedule, problem }) => ({ ...named(schedule), error: `its ${problem}` })),
      ...plan.failed.map(({ schedule, error }) => ({ ...named(schedule), error: describeError(error) })),
    ],
    isCut: plan.isCut || due.length === schedulesMax,
  };
}
