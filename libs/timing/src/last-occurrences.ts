import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";

const windowMsMin = 60_000;

/** Each window is so many times as long as the one after it. */
const windowGrowth = 8;

/**
 * The newest occurrences in `[from, to)`, at most `countMax` of them, oldest first. Rules only look forward, so this looks at windows that grow backwards from
 * `to`: what it walks is in proportion to what it answers, not to the stretch.
 */
export function lastOccurrences(rule: Rule, { from, to, countMax }: { from: Instant; to: Instant; countMax: number }): Instant[] {
  let found: Instant[] = [];
  let windowEnd = to;
  for (let windowMs = windowMsMin; found.length < countMax && windowEnd > from; windowMs *= windowGrowth) {
    const windowStart = Math.max(from, windowEnd - windowMs);
    const inWindow: Instant[] = [];
    for (let at = nextOccurrence(rule, windowStart - 1); at !== null && at < windowEnd; at = nextOccurrence(rule, at)) {
      inWindow.push(at);
      // Dense rules would fill memory; only the newest are wanted.
      if (inWindow.length > 2 * countMax) inWindow.splice(0, inWindow.length - countMax);
    }
    found = [...inWindow, ...found].slice(-countMax);
    windowEnd = windowStart;
  }
  return countMax === 0 ? [] : found;
}
