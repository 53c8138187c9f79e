/**
 * When schedules are due: pure logic, without I/O and without a clock. Instants go in and come out as whole milliseconds since the Unix epoch.
 *
 * The layers, from the expression up:
 *
 * - `cron-pattern.ts` compiles an expression (croner) and finds the next matching *wall time*, a clock face without a zone.
 * - `zone.ts` says at which instants a zone's clocks show a wall time: once, twice, or never.
 * - `next-cron-occurrence.ts` decides what that means for an occurrence when clocks change.
 * - `next-occurrence.ts` (here) walks any rule, within its bounds and calendars; `count-occurrences.ts` counts without walking.
 * - `plan-due.ts` sorts what is due into what runs and what was missed, and moves the watermark; `pass-gate.ts` decides what an unfinished run means for the next one.
 * - `validate-rule.ts` is the only way for user input to become a `Rule`.
 *
 * Guarantees, held by property tests: `nextOccurrence(rule, t) > t`; the occurrences of [a, b) and of [b, c) together are exactly those of [a, c), at every
 * cut and through every clock change; asking twice, or late, gives the same instants. Nothing depends on the host's own time zone. The caches (compiled patterns,
 * zones, the offsets of days) are bounded and never change a result.
 */
import { nextBoundary, refusingCalendar } from "./calendar.ts";
import { nextCronOccurrence } from "./next-cron-occurrence.ts";
import type { Instant, IntervalRule, Rule } from "./rule.ts";
import { zoneOf, type ZoneLookup } from "./zone.ts";

/** Calendars that leave nothing of a rule for this long have ended it: five years, as for a rule that is created. */
const holeMsMax = 5 * 366 * 86_400_000;

/**
 * Or this many holes with nothing between them: a rule of each second minute, and a calendar that is closed in each of these, have a million in five years, and whoever wrote them
 * must not keep everybody waiting. It is more than a daily rule has in 27 years, and an hourly one in one.
 */
const holesMax = 10_000;

/**
 * The first occurrence of `rule` strictly after `after`, or null when there is none. Throws `UnusableRuleError` for a cron rule whose expression or zone is not
 * known, which `validateRule` would have refused. `zones` is given only to ask what another version of the time zone database would say.
 */
export function nextOccurrence(rule: Rule, after: Instant, zones: ZoneLookup = zoneOf): Instant | null {
  const { startsAt = -Infinity, endsAt = Infinity } = rule;
  const next = nextAdmitted(rule, Math.max(after, startsAt - 1), zones);
  return next !== null && next <= endsAt ? next : null;
}

/** Steps over the holes of the rule's calendars, each hole at once. */
function nextAdmitted(rule: Rule, after: Instant, zones: ZoneLookup): Instant | null {
  const { calendars = [], endsAt = Infinity } = rule;
  let next = nextUnbounded(rule, after, zones);
  if (calendars.length === 0) return next;
  const giveUpAt = Math.min(endsAt, after + holeMsMax);
  for (let holes = 0; next !== null && refusingCalendar(calendars, next, zones) !== null; holes += 1) {
    if (next > giveUpAt || holes === holesMax) return null;
    next = nextUnbounded(rule, nextBoundary(calendars, next, zones) - 1, zones);
  }
  return next;
}

/** The first instant after `after` that the rule itself names, whatever its bounds and calendars say. */
export function nextUnbounded(rule: Rule, after: Instant, zones: ZoneLookup = zoneOf): Instant | null {
  switch (rule.kind) {
    case "cron":
      return nextCronOccurrence(rule, after, zones);
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
