import { dstWarnings } from "@downbeat/timing/dst-warnings.ts";
import { formatWall } from "@downbeat/timing/local-time.ts";
import type { Timing } from "@downbeat/timing/plan-due.ts";
import type { Preview } from "@downbeat/timing/preview.ts";
import type { Instant } from "@downbeat/timing/rule.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";
import type { ScheduleImpact } from "./schedule-impact.ts";

/** What the timing library answers, as the API shows it: instants as texts, names as on the wire. */
export function toText(instant: Instant): string {
  return new Date(instant).toISOString();
}

export function toWarnings({ rule }: Timing, nowAt: Instant) {
  return dstWarnings(rule, nowAt).map(({ at, kind, slots, text }) => ({
    at: toText(at),
    kind,
    slots: slots.map(({ slot, runsAt }) => ({ local: formatWall(slot), runs_at: runsAt.map(toText) })),
    text,
  }));
}

export function toImpact(impact: ScheduleImpact, withdrawn: number, next: Occurrence | null) {
  return {
    from: toText(impact.from),
    to: toText(impact.to),
    runs_before: impact.runsBefore,
    runs_after: impact.runsAfter,
    added: impact.added,
    removed: impact.removed,
    first_added: impact.firstAdded.map(toText),
    first_removed: impact.firstRemoved.map(toText),
    queue_requests_max: impact.queueRequestsMax,
    withdrawn,
    next_run_at: next === null ? null : toText(next.dueAt),
  };
}

export function toPreview({ occurrences, holes, isCut }: Preview) {
  return {
    occurrences: occurrences.map(({ at, dueAt, ...rest }) => ({ at: toText(at), due_at: toText(dueAt), ...rest })),
    holes: holes.map(({ at, ...rest }) => ({ at: toText(at), ...rest })),
    is_cut: isCut,
  };
}
