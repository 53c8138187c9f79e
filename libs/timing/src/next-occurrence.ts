/**
 * When schedules are due: pure logic, without I/O and without a clock. Instants go in and come out as whole milliseconds since the Unix epoch.
 *
 * The layers, from the expression up:
 *
 * - `cron-pattern.ts` compiles an expression (croner) and finds the next matching *wall time*, a clock face without a zone.
 * - `zone.ts` says at which instants a zone's clocks show a wall time: once, twice, or never.
 * - `next-cron-occurrence.ts` decides what that means for an occurrence when clocks change.
 * - `next-occurrence.ts` (here) walks any rule, within its bounds.
 * - `plan-due.ts` sorts what is due into what runs and what was missed, and moves the watermark.
 * - `validate-rule.ts` is the only way for user input to become a `Rule`.
 *
 * Guarantees, held by property tests: `nextOccurrence(rule, t) > t`; the occurrences of [a, b) and of [b, c) together are exactly those of [a, c), at every
 * cut and through every clock change; asking twice, or late, gives the same instants. Nothing depends on the host's own time zone. The caches (compiled patterns,
 * zones, the offsets of days) are bounded and never change a result.
 */
import { nextCronOccurrence } from "./next-cron-occurrence.ts";
import type { Instant, IntervalRule, Rule } from "./rule.ts";

/**
 * The first occurrence of `rule` strictly after `after`, or null when there is none. Throws `UnusableRuleError` for a cron rule whose expression or zone is not
 * known, which `validateRule` would have refused.
 */
export function nextOccurrence(rule: Rule, after: Instant): Instant | null {
  const { startsAt = -Infinity, endsAt = Infinity } = rule;
  const next = nextUnbounded(rule, Math.max(after, startsAt - 1));
  return next !== null && next <= endsAt ? next : null;
}

function nextUnbounded(rule: Rule, after: Instant): Instant | null {
  switch (rule.kind) {
    case "cron":
      return nextCronOccurrence(rule, after);
    case "interval":
      return nextIntervalOccurrence(rule, after);
    case "once":
      return rule.runAt > after ? rule.runAt : null;
  }
}

function nextIntervalOccurrence(rule: IntervalRule, after: Instant): Instant {
  const intervalMs = rule.intervalSeconds * 1_000;
  const k = Math.max(1, Math.floor((after - rule.anchorAt) / intervalMs) + 1);
  return rule.anchorAt + k * intervalMs;
}
