import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { sql as fragment } from "kysely";

export interface LastAudit {
  lost: number;
  unexpected: number;
  expected: number;
  schedules: number;
  ageSeconds: number;
}

/** The audit that finished last, if any did. Index: audit_passes_started_at, one row. */
export async function selectLastAudit(database: TenantDatabase): Promise<LastAudit | undefined> {
  const row = await database
    .selectFrom("downbeat.audit_passes")
    .select(["lost", "unexpected", "expected", "schedules"])
    .select(fragment<number>`extract(epoch from clock_timestamp() - finished_at)::float8`.as("age"))
    .orderBy("started_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { lost, unexpected, expected, schedules, age } = row;
  return {
    lost: Number(lost),
    unexpected: Number(unexpected),
    expected: Number(expected),
    schedules,
    ageSeconds: Math.max(0, Math.round(age * 10) / 10),
  };
}

/** Audits, newest first. */
export function selectAudits(database: TenantDatabase) {
  return database.selectFrom("downbeat.audit_passes").selectAll().orderBy("started_at", "desc").orderBy("id", "desc");
}

type AuditRow = Awaited<ReturnType<ReturnType<typeof selectAudits>["executeTakeFirstOrThrow"]>>;

export function toAudit(row: AuditRow) {
  const [lost, unexpected] = [Number(row.lost), Number(row.unexpected)];
  return {
    id: row.id,
    started_at: row.started_at.toISOString(),
    finished_at: row.finished_at.toISOString(),
    from: row.from_at.toISOString(),
    to: row.to_at.toISOString(),
    schedules: row.schedules,
    expected: Number(row.expected),
    recorded: Number(row.recorded),
    lost,
    unexpected,
    difference: lost + unexpected,
    findings: row.findings.map(({ tenant, tenant_id, schedule, schedule_id, kind, at }) => ({
      kind,
      at,
      tenant: { id: tenant_id, slug: tenant },
      schedule: { id: schedule_id, name: schedule },
    })),
  };
}
