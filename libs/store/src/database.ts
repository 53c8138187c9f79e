import type { ColumnType, Generated } from "kysely";
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
}

/** An instant that the database sets unless the writer does. */
type Stamp = Generated<Date>;
type Json = ColumnType<Readonly<Record<string, unknown>>>;

export interface TenantTable {
  id: Generated<string>;
  slug: string;
  name: string;
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
  cron_expression: string | null;
  timezone: Generated<string>;
  interval_seconds: number | null;
  anchor_at: Date | null;
  run_at: Date | null;
  starts_at: Date | null;
  ends_at: Date | null;
  endpoint_id: string;
  target: Json;
  input: Json;
  revision: Generated<number>;
  revised_at: Stamp;
  paused_at: Date | null;
  pause_reason: string | null;
  completed_at: Date | null;
  deleted_at: Date | null;
  created_at: Stamp;
  updated_at: Stamp;
}

export interface ScheduleDueTable {
  tenant_id: string;
  schedule_id: string;
  next_run_at: Date;
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

export interface DispatchPassTable {
  id: Generated<string>;
  started_at: Date;
  finished_at: Date;
}
