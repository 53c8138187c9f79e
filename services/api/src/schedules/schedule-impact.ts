import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { nextOccurrence } from "@downbeat/timing/next-occurrence.ts";
import type { Instant, Rule } from "@downbeat/timing/rule.ts";
import { Problem } from "../http/problem.ts";

/** What a change of a rule means over the coming 30 days. */
export interface ScheduleImpact {
  from: Instant;
  to: Instant;
  runsBefore: number;
  runsAfter: number;
  /** Occurrences that the new rule has and the old one has not, and the other way round. Null where there are too many to compare one by one. */
  added: number | null;
  removed: number | null;
  /** The first few of them. */
  firstAdded: Instant[];
  firstRemoved: Instant[];
  /** Most queue requests for the runs after the change, of which each run's message needs up to three (send, receive, delete), ten messages in a request. */
  queueRequestsMax: number;
}

const impactMs = 30 * 86_400_000;
const comparedMax = 50_000;
const shownMax = 5;

/** A rule that runs this many times as often, and at least so often in 30 days, is asked about. */
const jumpFactor = 10;
const jumpRunsMin = 1_000;

/** Compares two rules over the 30 days from `from` on. `before` is null for a schedule that does not exist or run yet. */
export function impactOf(before: Rule | null, after: Rule | null, from: Instant): ScheduleImpact {
  const to = from + impactMs;
  const count = (rule: Rule | null) => (rule === null ? 0 : countOccurrences(rule, from + 1, to));
  const [runsBefore, runsAfter] = [count(before), count(after)];
  const isCompared = Math.max(runsBefore, runsAfter) <= comparedMax;
  const olds = isCompared ? occurrencesOf(before, { from, to }) : [];
  const news = isCompared ? occurrencesOf(after, { from, to }) : [];
  const [oldSet, newSet] = [new Set(olds), new Set(news)];
  const added = news.filter((at) => !oldSet.has(at));
  const removed = olds.filter((at) => !newSet.has(at));
  return {
    from,
    to,
    runsBefore,
    runsAfter,
    added: isCompared ? added.length : null,
    removed: isCompared ? removed.length : null,
    firstAdded: added.slice(0, shownMax),
    firstRemoved: removed.slice(0, shownMax),
    queueRequestsMax: Math.ceil(runsAfter * 0.3),
  };
}

/**
 * Refuses a jump of frequency (daily to each minute, say) that was not confirmed: nearly always a slip, and an expensive one. `subject` is who would run more often, `field` where
 * the confirmation goes.
 */
export function checkFrequencyJump(
  { runsBefore, runsAfter }: ScheduleImpact,
  isConfirmed: boolean,
  { subject = "the schedule", field = "confirm" } = {},
): void {
  if (isConfirmed || runsBefore === 0 || runsAfter < jumpRunsMin || runsAfter < runsBefore * jumpFactor) return;
  const times = Math.round(runsAfter / runsBefore);
  throw new Problem("confirmation_needed", {
    errors: [
      {
        field,
        message: `is missing: ${subject} would run ${times} times as often, ${runsAfter} times in 30 days where it was ${runsBefore}. Send "confirm": true if that is meant`,
        expected: "true",
      },
    ],
  });
}

function occurrencesOf(rule: Rule | null, { from, to }: { from: Instant; to: Instant }): Instant[] {
  if (rule === null) return [];
  const found: Instant[] = [];
  for (let at = nextOccurrence(rule, from); at !== null && at < to; at = nextOccurrence(rule, at)) found.push(at);
  return found;
}
