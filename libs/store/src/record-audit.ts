import type { TransactionSql } from "./connect.ts";

/** One round of the self-audit. Instants in ms since 1970. */
export interface AuditRecord {
  startedAt: number;
  /** The occurrences that were compared, over all schedules. */
  fromAt: number;
  toAt: number;
  schedules: number;
  expected: number;
  recorded: number;
  lost: number;
  unexpected: number;
  findings: readonly AuditFinding[];
}

/** An instant at which rule and ledger differ, as the table and the API have it. */
export interface AuditFinding {
  /** Slug. */
  tenant: string;
  tenant_id: string;
  /** Name. */
  schedule: string;
  schedule_id: string;
  kind: "lost" | "unexpected";
  /** RFC 3339. */
  at: string;
}

/** Rounds older than this are forgotten. */
const keptDays = 30;

/** Notes a finished round and forgets the oldest ones. Index: audit_passes_started_at. */
export async function recordAudit(sql: TransactionSql, audit: AuditRecord): Promise<void> {
  await sql`
    with forgotten as (delete from downbeat.audit_passes where started_at < now() - ${keptDays}::int * interval '1 day')
    insert into downbeat.audit_passes (started_at, finished_at, from_at, to_at, schedules, expected, recorded, lost, unexpected, findings)
    values (to_timestamp(${audit.startedAt}::float8 / 1000), now(), to_timestamp(${audit.fromAt}::float8 / 1000), to_timestamp(${audit.toAt}::float8 / 1000),
      ${audit.schedules}, ${audit.expected}, ${audit.recorded}, ${audit.lost}, ${audit.unexpected}, ${JSON.stringify(audit.findings)}::text::jsonb)`;
}
