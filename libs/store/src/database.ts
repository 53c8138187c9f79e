import type { Overlap } from "@downbeat/timing/pass-gate.ts";
import type { Misfire } from "@downbeat/timing/plan-due.ts";
import type { DstGap, DstOverlap } from "@downbeat/timing/rule.ts";
import type { ColumnType, Generated } from "kysely";
import type { BackfillRule, BackfillState } from "./lock-backfill.ts";
import type { AuditFinding } from "./record-audit.ts";
import type { RunReason, RunState } from "./run-states.ts";

/**
 * The tables as the API reads and writes them, for kysely (decision 0001: kysely for the API, hand-written SQL on the hot path). Columns that only other
 * processes use are left out. Instants arrive as `Date`, cut to milliseconds.
 */
export interface Database {
  "downbeat.tenants": TenantTable;
  "downbeat.endpoints": EndpointTable;
  "downbeat.endpoint_secrets": EndpointSecretTable;
  "downbeat.schedules": ScheduleTable;
  "downbeat.schedule_due": ScheduleDueTable;
  "downbeat.schedule_stats": ScheduleStatsTable;
  "downbeat.runs": RunTable;
  "downbeat.attempts": AttemptTable;
  "downbeat.run_events": RunEventTable;
  "downbeat.api_keys": ApiKeyTable;
  "downbeat.dispatch_passes": DispatchPassTable;
  "downbeat.calendars": CalendarTable;
  "downbeat.schedule_events": ScheduleEventTable;
  "downbeat.schedule_gates": ScheduleGateTable;
  "downbeat.backfills": BackfillTable;
  "downbeat.audit_passes": AuditPassTable;
  "downbeat.system_state": SystemStateTable;
}

/** An instant that the database sets unless the writer does. */
type Stamp = Generated<Date>;
type Json = ColumnType<Readonly<Record<string, unknown>>>;

export interface TenantTable {
  id: Generated<string>;
  slug: string;
  name: string;
  interval_seconds_min: number | null;
  schedules_max: number | null;
  runs_per_day_max: number | null;
  maintenance_from: Date | null;
  maintenance_until: Date | null;
  maintenance_reason: string | null;
  created_at: Stamp;
  updated_at: Stamp;
}

export interface EndpointTable {
  tenant_id: string;
  id: Generated<string>;
  name: string;
  base_url: string;
  compat_signatures: Generated<boolean>;
  headers: Json;
  timeout_ms: Generated<number>;
  revision: Generated<number>;
  created_at: Stamp;
  updated_at: Stamp;
}

export interface EndpointSecretTable {
  tenant_id: string;
  endpoint_id: string;
  version: number;
  key_id: string;
  sealed: Uint8Array;
  created_at: Stamp;
  expires_at: Date | null;
}

export interface ScheduleTable {
  tenant_id: string;
  id: Generated<string>;
  name: string;
  kind: "cron" | "interval" | "once";
  frequency: string | null;
  cron_expression: string | null;
  timezone: Generated<string>;
  interval_seconds: number | null;
  anchor_at: Date | null;
  run_at: Date | null;
  starts_at: Date | null;
  ends_at: Date | null;
  dst_gap: Generated<DstGap>;
  dst_overlap: Generated<DstOverlap>;
  misfire: Generated<Misfire>;
  /** Null: no limit. */
  grace_seconds: Generated<number | null>;
  overlap: Generated<Overlap>;
  max_instances: Generated<number>;
  on_resume: Generated<Misfire>;
  spread_seconds: number | null;
  spread_share: number | null;
  max_runs: number | null;
  max_failures: number | null;
  calendar_ids: Generated<string[]>;
  tzdata: string | null;
  endpoint_id: string;
  target: Json;
  input: Json;
  revision: Generated<number>;
  revised_at: Stamp;
  paused_at: Date | null;
  paused_until: Date | null;
  pause_reason: string | null;
  completed_at: Date | null;
  completed_reason: string | null;
  deleted_at: Date | null;
  created_at: Stamp;
  updated_at: Stamp;
}

export interface ScheduleDueTable {
  tenant_id: string;
  schedule_id: string;
  next_run_at: Date;
  /** The occurrence, where that is another instant than `next_run_at`. */
  scheduled_for: Date | null;
}

export interface ScheduleStatsTable {
  tenant_id: string;
  schedule_id: string;
  /** bigint: postgres.js answers it as text. */
  succeeded: Generated<string>;
  failed: Generated<string>;
  consecutive_failures: Generated<number>;
  last_run_at: Date | null;
  last_state: RunState | null;
  last_error: string | null;
}

export interface RunTable {
  tenant_id: string;
  id: string;
  schedule_id: string;
  schedule_revision: number;
  scheduled_for: Date;
  trigger_id: Generated<string>;
  state: RunState;
  reason: RunReason | null;
  due_at: Date;
  sweep_at: Date | null;
  attempt: Generated<number>;
  queued_at: Date | null;
  started_at: Date | null;
  finished_at: Date | null;
  http_status: number | null;
  range_from: Date | null;
  range_count: number | null;
  spread_ms: number | null;
  blocked_by: string | null;
  retry_until: Date | null;
  created_at: Stamp;
}

export interface AttemptTable {
  tenant_id: string;
  run_id: string;
  attempt: number;
  outcome: "success" | "transient" | "limited" | "permanent" | "gone" | "blocked" | "unknown";
  code: string | null;
  http_status: number | null;
  started_at: Date | null;
  finished_at: Date;
  response_excerpt: string | null;
  executor: string | null;
}

export interface RunEventTable {
  tenant_id: string;
  run_id: string;
  id: Generated<string>;
  at: Stamp;
  actor: string;
  event: string;
  reason: string | null;
}

export interface ApiKeyTable {
  id: string;
  tenant_id: string | null;
  scope: "admin" | "tenant" | "read";
  name: string;
  hash: Uint8Array;
  created_at: Stamp;
  expires_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
}

/** `tenant_id` is null for a calendar that every tenant may use. */
export interface CalendarTable {
  tenant_id: string | null;
  id: Generated<string>;
  name: string;
  kind: "allow" | "blackout";
  timezone: Generated<string>;
  entries: ColumnType<string[], string, string>;
  created_at: Stamp;
  updated_at: Stamp;
}

export interface ScheduleEventTable {
  tenant_id: string;
  schedule_id: string;
  id: Generated<string>;
  at: Stamp;
  actor: string;
  event: "created" | "updated" | "paused" | "resumed" | "auto_paused" | "completed" | "deleted" | "backfill" | "audit_difference" | "moved";
  reason: string | null;
  detail: Generated<Readonly<Record<string, unknown>>>;
}

export interface ScheduleGateTable {
  tenant_id: string;
  schedule_id: string;
  holders: string[];
  waiting: string[];
  /** bigint: postgres.js answers it as text. */
  started: string;
}

export interface BackfillTable {
  tenant_id: string;
  id: Generated<string>;
  schedule_id: string;
  from_at: Date;
  to_at: Date;
  rule: BackfillRule;
  state: Generated<BackfillState>;
  concurrency: number;
  planned: number;
  fed: Generated<number>;
  next_at: Date | null;
  open_runs: Generated<string[]>;
  succeeded: Generated<number>;
  failed: Generated<number>;
  created_by: string;
  created_at: Stamp;
  finished_at: Date | null;
}

export interface AuditPassTable {
  id: Generated<string>;
  started_at: Date;
  finished_at: Date;
  from_at: Date;
  to_at: Date;
  schedules: number;
  /** bigint: postgres.js answers it as text. */
  expected: string;
  recorded: string;
  lost: string;
  unexpected: string;
  findings: readonly AuditFinding[];
}

export interface SystemStateTable {
  key: string;
  value: Readonly<Record<string, unknown>>;
  updated_at: Stamp;
}

export interface DispatchPassTable {
  id: Generated<string>;
  started_at: Date;
  finished_at: Date;
}
