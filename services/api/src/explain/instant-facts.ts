import type { Instant } from "@downbeat/timing/rule.ts";
import type { LocalReading } from "./asked-instant.ts";
import type { FoundOccurrence } from "./find-occurrence.ts";
import type { RunRow } from "../runs/read-runs.ts";
import type { JournalEntry, PauseSpan, RuleSpan } from "./rule-history.ts";
import type { RuleFacts } from "./rule-facts.ts";
import type { readRunDetail } from "../runs/run-timeline.ts";
import type { ScheduleRuleRow } from "../schedules/stored-rule.ts";

export type RunDetail = Awaited<ReturnType<typeof readRunDetail>>;

/** What the tenant says about its schedules' time. */
export interface TenantLimits {
  maintenance_from: Date | null;
  maintenance_until: Date | null;
  maintenance_reason: string | null;
  runs_per_day_max: number | null;
}

/** What is known of a schedule, whatever instant is asked about. */
export interface ScheduleFacts {
  /** The database's clock. */
  nowAt: Instant;
  /** As it is now. */
  schedule: ScheduleRuleRow;
  tenant: TenantLimits;
  /** The first occurrence that was not evaluated yet. Null: the schedule is not in the due index. */
  watermark: Instant | null;
  /** When a dispatcher looks at that: later than it is due, where the schedule is put off or paused. */
  lookAt: Instant | null;
  journal: readonly JournalEntry[];
  spans: readonly RuleSpan[];
  pauses: readonly PauseSpan[];
  /** When the dispatchers' last pass ended. */
  lastPassAt: Instant | null;
}

/** Everything that decides about one instant of a schedule. */
export interface InstantFacts extends ScheduleFacts, FoundOccurrence {
  at: Instant;
  /** Set where a local time was asked about. */
  local: LocalReading | null;
  rule: RuleFacts;
  /** `run` as it is answered, with its attempts and its life. */
  detail: RunDetail | null;
  /** The run that `blocked_by` names. */
  blocker: RunRow | null;
  /** The run that ran in place of a stretch. */
  replacement: RunRow | null;
  /** What withdrew it. */
  withdrawal: JournalEntry | null;
  /** Runs of the tenant on the day it was claimed, where they are counted. */
  tenantRuns: number | null;
  /** The last round of the self-audit that looked at this instant. */
  auditedAt: Instant | null;
  others: readonly RunRow[];
  previousAt: Instant | null;
  nextAt: Instant | null;
  /** The occurrence before that starts at this very instant, because it is spread. */
  spreadFrom: Instant | null;
}
