import type { LastAudit } from "./read-audits.ts";

/** Promise 1 as numbers: what the last finished audit found. Before the first one there are none, because a zero would say that all is well. */
export function auditGauges(gauge: (name: string, help: string, value: number) => void, audit: LastAudit): void {
  gauge(
    "downbeat_audit_difference_occurrences",
    "Occurrences without a row in the ledger, and rows without an occurrence, in the last finished audit. Must be 0.",
    audit.lost + audit.unexpected,
  );
  gauge("downbeat_audit_age_seconds", "Time since the last audit finished.", audit.ageSeconds);
  gauge("downbeat_audit_expected_occurrences", "Occurrences that the last finished audit looked for in the ledger.", audit.expected);
  gauge("downbeat_audit_schedules", "Schedules that the last finished audit compared.", audit.schedules);
}
