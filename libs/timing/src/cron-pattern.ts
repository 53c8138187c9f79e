import { CronDate, CronPattern as CronerPattern } from "croner";
import { beforeLast } from "./cron-fields.ts";
import { describeCronProblem } from "./describe-cron-problem.ts";
import { LruCache } from "./lru-cache.ts";
import { UnusableRuleError } from "./rule.ts";
import type { WallTime } from "./zone.ts";

/** A compiled cron expression. It knows clock faces only: which instants they stand for is the zone's business. */
export interface CronPattern {
  /** One pattern for every month, or one each for months of 28, 29, 30 and 31 days: `L-3` is another day in each of them, and croner knows numbers only. */
  readonly byMonthLength: readonly CronerPattern[];
  /** True when the hour field leaves out no hour (`*`, `0-23`): such a pattern follows real time through clock changes. */
  readonly matchesEveryHour: boolean;
}

/** The longest expression that is read. A list of all 60 minutes is 169 characters. */
export const cronExpressionLengthMax = 256;

/** Bounds what distinct expressions cost: 2.4 KB each, or 83 KB for one that names years. */
const patternsMax = 1_000;

const patterns = new LruCache<CronPattern>(patternsMax);

/** Compiles `cronExpression`, or takes it from the cache. Throws `UnusableRuleError`, whose message names the wrong fields and what they may hold. */
export function compileCronPattern(cronExpression: string): CronPattern {
  return patterns.getOrCreate(cronExpression, compile);
}

/**
 * The first clock face strictly after `after` that matches, or null when none follows. croner searches in UTC, where a day has 24 hours and nothing has to be
 * asked of `Intl`: 20 times faster than its search in a named zone, and one compiled pattern serves all zones.
 */
export function nextWallTime({ byMonthLength }: CronPattern, after: WallTime): WallTime | null {
  const [only, ...others] = byMonthLength;
  if (only !== undefined && others.length === 0) return nextMatch(only, after);
  for (let from = after; ;) {
    const candidates = byMonthLength.map((pattern) => nextMatch(pattern, from));
    const earliest = candidates.reduce((least, at) => (at !== null && (least === null || at < least) ? at : least), null);
    if (earliest === null) return null;
    const monthEnd = startOfNextMonth(earliest);
    const own = candidates[daysBefore(monthEnd) - monthLengthMin];
    if (own !== null && own !== undefined && own < monthEnd) return own;
    from = monthEnd - 1;
  }
}

/** How many clock faces of one matching day lie in `[fromMs, toMs)`, counted in milliseconds since its midnight. */
export function countInDay({ byMonthLength }: CronPattern, fromMs: number, toMs: number): number {
  const [fields] = byMonthLength;
  return fields === undefined ? 0 : countBefore(fields, toMs) - countBefore(fields, fromMs);
}

const monthLengthMin = 28;
const monthLengths = [28, 29, 30, 31];

function compile(cronExpression: string): CronPattern {
  if (cronExpression.length > cronExpressionLengthMax) {
    throw new UnusableRuleError("cron_expression", `has ${cronExpression.length} characters; at most ${cronExpressionLengthMax} are read`);
  }
  const parts = cronExpression.split(" ");
  const dayIndex = parts.length === 5 ? 2 : 3;
  const days = parts.length < 5 || parts.length > 7 ? [] : (parts[dayIndex] ?? "").split(",");
  const isByMonth = days.some((day) => beforeLast.test(day));
  let byMonthLength: CronerPattern[];
  try {
    byMonthLength = isByMonth
      ? monthLengths.map((length) => compileForMonth({ parts, dayIndex, days, length }))
      : [new CronerPattern(cronExpression)];
  } catch {
    throw new UnusableRuleError("cron_expression", describeCronProblem(cronExpression));
  }
  // croner gives each pattern a table of 10,000 years, 80 of its 83 KB. Patterns without a year all have the same one and can share it.
  for (const fields of byMonthLength) if (fields.starYear) fields.year = everyYear;
  return { byMonthLength, matchesEveryHour: byMonthLength.every((fields) => fields.hour.every((matches) => matches === 1)) };
}

interface MonthPattern {
  parts: readonly string[];
  dayIndex: number;
  days: readonly string[];
  length: number;
}

function compileForMonth({ parts, dayIndex, days, length }: MonthPattern): CronerPattern {
  const dayOf = (day: string) => {
    const [, before] = beforeLast.exec(day) ?? [];
    return before === undefined ? day : String(length - Number(before));
  };
  const existing = days.map(dayOf).filter((day) => !/^(0|-\d+)$/.test(day));
  const pattern = new CronerPattern(parts.with(dayIndex, existing.join(",") || "1").join(" "));
  // Thirty days before the last is no day at all in a short month.
  if (existing.length === 0) pattern.day.fill(0);
  return pattern;
}

function nextMatch(pattern: CronerPattern, after: WallTime): WallTime | null {
  const next = new CronDate(new Date(after), 0).increment(pattern, {}, false);
  return next === null ? null : next.getTime();
}

function startOfNextMonth(wall: WallTime): WallTime {
  const date = new Date(wall);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

/** The length of the month that ends at `monthEnd`, in days. */
function daysBefore(monthEnd: WallTime): number {
  return new Date(monthEnd - 1).getUTCDate();
}

function countBefore({ hour, minute, second }: CronerPattern, ms: number): number {
  const total = Math.min(86_400, Math.ceil(ms / 1_000));
  const [hours, minutes, seconds] = [Math.floor(total / 3_600), Math.floor(total / 60) % 60, total % 60];
  const before = (field: readonly number[], end: number) => field.slice(0, end).reduce((sum, matches) => sum + matches, 0);
  const inMinute = before(second, 60);
  const inHour = before(minute, 60) * inMinute;
  const inOpenMinute = minute[minutes] === 1 ? before(second, seconds) : 0;
  const inOpenHour = hour[hours] === 1 ? before(minute, minutes) * inMinute + inOpenMinute : 0;
  return before(hour, hours) * inHour + inOpenHour;
}

const everyYear = new CronerPattern("* * * * *").year;
