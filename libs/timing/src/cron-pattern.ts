import { CronDate, CronPattern as CronerPattern } from "croner";
import { beforeLast } from "./cron-fields.ts";
import { describeCronProblem } from "./describe-cron-problem.ts";
import { LruCache } from "./lru-cache.ts";
import { UnusableRuleError } from "./rule.ts";
import type { WallTime } from "./zone.ts";

/** A compiled cron expression. It knows clock faces only: which instants they stand for is the zone's business. */
export interface CronPattern {
  /**
   * One pattern for every month, or one for each length of month that the expression matches in: `L-3` is another day in months of 28, 29, 30 and 31 days, and croner knows numbers
   * only. None where no month has such a day.
   */
  readonly parts: readonly PatternPart[];
  /** Hours, minutes and seconds, which are the same in every month. */
  readonly times: CronerPattern;
  /** True when the hour field leaves out no hour (`*`, `0-23`): such a pattern follows real time through clock changes. */
  readonly matchesEveryHour: boolean;
}

interface PatternPart {
  pattern: CronerPattern;
  /** Months of this many days only. Null: every month. */
  monthLength: number | null;
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
export function nextWallTime({ parts }: CronPattern, after: WallTime): WallTime | null {
  let earliest: WallTime | null = null;
  for (const part of parts) {
    const next = nextInPart(part, after);
    if (next !== null && (earliest === null || next < earliest)) earliest = next;
  }
  return earliest;
}

/** A part is confined to months that may have its length; of Februaries only the year decides which they have. */
function nextInPart({ pattern, monthLength }: PatternPart, after: WallTime): WallTime | null {
  for (let next = nextMatch(pattern, after); next !== null;) {
    if (monthLength === null) return next;
    const monthEnd = startOfNextMonth(next);
    if (daysBefore(monthEnd) === monthLength) return next;
    next = nextMatch(pattern, monthEnd - 1);
  }
  return null;
}

/** How many clock faces of one matching day lie in `[fromMs, toMs)`, counted in milliseconds since its midnight. */
export function countInDay({ times }: CronPattern, fromMs: number, toMs: number): number {
  return countBefore(times, toMs) - countBefore(times, fromMs);
}

/** The months (0 is January) that may have so many days. */
const monthsOfLength: ReadonlyMap<number, readonly number[]> = new Map([
  [28, [1]],
  [29, [1]],
  [30, [3, 5, 8, 10]],
  [31, [0, 2, 4, 6, 7, 9, 11]],
]);

function compile(cronExpression: string): CronPattern {
  if (cronExpression.length > cronExpressionLengthMax) {
    throw new UnusableRuleError("cron_expression", `has ${cronExpression.length} characters; at most ${cronExpressionLengthMax} are read`);
  }
  const fields = cronExpression.split(" ");
  const dayIndex = fields.length === 5 ? 2 : 3;
  const days = fields.length < 5 || fields.length > 7 ? [] : (fields[dayIndex] ?? "").split(",");
  const isByMonth = days.some((day) => beforeLast.test(day));
  let parts: PatternPart[];
  let times: CronerPattern;
  try {
    const anyDay = isByMonth
      ? compileFields(fields.with(dayIndex, days.map((day) => (beforeLast.test(day) ? "1" : day)).join(",")))
      : undefined;
    times = anyDay ?? compileFields(fields);
    parts = isByMonth
      ? [...monthsOfLength.keys()].flatMap((length) => compileForMonth({ fields, dayIndex, days, length }))
      : [{ pattern: times, monthLength: null }];
  } catch {
    throw new UnusableRuleError("cron_expression", describeCronProblem(cronExpression));
  }
  return { parts, times, matchesEveryHour: times.hour.every((matches) => matches === 1) };
}

function compileFields(fields: readonly string[]): CronerPattern {
  const pattern = new CronerPattern(fields.join(" "));
  // croner gives each pattern a table of 10,000 years, 80 of its 83 KB. Patterns without a year all have the same one and can share it.
  if (pattern.starYear) pattern.year = everyYear;
  return pattern;
}

interface MonthPattern {
  fields: readonly string[];
  dayIndex: number;
  days: readonly string[];
  length: number;
}

/** The pattern for months of one length, or none where it cannot match in any: croner would look for it through 400 years, again and again. */
function compileForMonth({ fields, dayIndex, days, length }: MonthPattern): PatternPart[] {
  const dayOf = (day: string) => {
    const [, before] = beforeLast.exec(day) ?? [];
    return before === undefined ? day : String(length - Number(before));
  };
  const existing = days.map(dayOf).filter((day) => !/^(0|-\d+)$/.test(day));
  const pattern = compileFields(fields.with(dayIndex, existing.join(",") || "1"));
  // Thirty days before the last is no day at all in a short month; then only a weekday that is an alternative can match.
  if (existing.length === 0) pattern.day.fill(0);
  const isWithoutDay = existing.length === 0 && (pattern.starDOW || pattern.useAndLogic);
  const months = monthsOfLength.get(length) ?? [];
  pattern.month = pattern.month.map((matches, month) => (months.includes(month) ? matches : 0));
  return isWithoutDay || !pattern.month.includes(1) ? [] : [{ pattern, monthLength: length }];
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
