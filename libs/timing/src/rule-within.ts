import type { Instant, IntervalRule, Rule } from "./rule.ts";

export interface RuleWithin {
  /** Occurrences in `[from, to)` are what counts. */
  from: Instant;
  to: Instant;
  /** 1,000: it is enough that occurrences fall into the right second, as long as `from` is a whole one. */
  precisionMs: 1 | 1_000;
}

/**
 * A rule with the same occurrences in a stretch, written so that rules that do not differ there look the same: without bounds that lie outside, and an interval with an anchor just before the stretch, so
 * that a thousand schedules created at a thousand instants are some few rules. Null for a rule that has nothing there.
 */
export function ruleWithin(rule: Rule, { from, to, precisionMs }: RuleWithin): Rule | null {
  const { startsAt, endsAt, calendars, ...bare } = rule;
  if ((startsAt ?? -Infinity) >= to || (endsAt ?? Infinity) < from) return null;
  const bounds = {
    ...(startsAt === undefined || startsAt <= from ? {} : { startsAt }),
    ...(endsAt === undefined || endsAt >= to - 1 ? {} : { endsAt }),
    ...(calendars === undefined || calendars.length === 0 ? {} : { calendars }),
  };
  if (bare.kind === "once") return bare.runAt < from || bare.runAt >= to ? null : { ...bare, ...bounds };
  if (bare.kind === "cron") return { ...bare, ...bounds };
  // Bounds and calendars tell instants of one second from another.
  const isFree = Object.keys(bounds).length === 0;
  return { ...bare, ...bounds, anchorAt: anchorNear(bare, from, isFree ? precisionMs : 1) };
}

/** The last anchor of the same occurrences whose first one is at or before `from`. One that begins later stays. */
function anchorNear({ anchorAt, intervalSeconds }: IntervalRule, from: Instant, precisionMs: number): Instant {
  const intervalMs = intervalSeconds * 1_000;
  const anchor = Math.floor(anchorAt / precisionMs) * precisionMs;
  const intervals = Math.floor((from - anchor) / intervalMs) - 1;
  return intervals < 0 ? anchor : anchor + intervals * intervalMs;
}
