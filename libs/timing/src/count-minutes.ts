import { nextBoundary, refusingCalendar } from "./calendar.ts";
import { compileCronPattern, countInDay, type CronPattern } from "./cron-pattern.ts";
import { nextUnbounded } from "./next-occurrence.ts";
import type { CronRule, Instant, IntervalRule, Rule } from "./rule.ts";
import { nextClockChange, wallTimeAt, zoneOf, type Zone } from "./zone.ts";

/** How often something happens in each minute in which it does. */
export interface MinuteCounts {
  /** Whole minutes since 1970, ascending. */
  minutes: Uint32Array;
  counts: Uint32Array;
}

/** A limit of what counting may cost. One step is one evaluation of a rule, some microseconds. */
export class WorkLimit {
  #stepsLeft: number;
  readonly #whole: WorkLimit | null;

  /** With `whole`, a limit of a part of it: what the part spends, the whole spends too. */
  constructor(stepsMax: number, whole: WorkLimit | null = null) {
    this.#stepsLeft = stepsMax;
    this.#whole = whole;
  }

  /** Throws `WorkExceededError` when there is nothing left. */
  spend(steps: number): void {
    this.#whole?.spend(steps);
    if (this.#stepsLeft <= 0) throw new WorkExceededError();
    this.#stepsLeft -= steps;
  }
}

/** Counting would cost more than it may. What was counted until then is of no use. */
export class WorkExceededError extends Error {
  override readonly name = "WorkExceededError";
}

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** Adding a count to a list costs about this part of a step. */
const stepsOfMinute = 1 / 20;

/** Looking at the entry of a calendar costs about this part of a step. */
const stepsOfEntry = 1 / 10;

/**
 * How many occurrences a rule has in each minute of `[from, to)`. Not by walking them where that can be helped: an interval is divided, and a cron rule has the same minutes on each
 * day that it names, so a rule of every second costs about as much as one of every minute. Only nominal slots around a clock change are walked. Throws `UnusableRuleError` as
 * `nextOccurrence` does, and `WorkExceededError`.
 */
export function countMinutes(rule: Rule, { from, to, work }: { from: Instant; to: Instant; work: WorkLimit }): MinuteCounts {
  const counter = new MinuteCounter(work);
  const { startsAt = -Infinity, endsAt = Infinity, calendars = [] } = rule;
  const end = Math.min(to, endsAt + 1);
  const entries = calendars.reduce((sum, calendar) => sum + calendar.entries.length, 0);
  for (let start = Math.max(from, startsAt); start < end;) {
    // Between two boundaries the calendars say the same.
    const boundary = calendars.length === 0 ? end : Math.min(end, nextBoundary(calendars, start));
    work.spend(1 + entries * stepsOfEntry);
    if (calendars.length === 0 || refusingCalendar(calendars, start) === null) counter.countRule(rule, start, boundary);
    start = boundary;
  }
  return counter.counts();
}

class MinuteCounter {
  readonly #work: WorkLimit;
  readonly #minutes: number[] = [];
  readonly #counts: number[] = [];

  constructor(work: WorkLimit) {
    this.#work = work;
  }

  counts(): MinuteCounts {
    return { minutes: Uint32Array.from(this.#minutes), counts: Uint32Array.from(this.#counts) };
  }

  /** Counts `[start, end)`, which follows what was counted before, whatever bounds and calendars say. */
  countRule(rule: Rule, start: Instant, end: Instant): void {
    if (rule.kind === "interval") this.#countInterval(rule, start, end);
    else if (rule.kind === "cron") this.#countCron(rule, start, end);
    else this.#walk(rule, start, end);
  }

  #add(minute: number, count: number): void {
    const last = this.#minutes.length - 1;
    if (this.#minutes[last] === minute) {
      this.#counts[last] = (this.#counts[last] ?? 0) + count;
      return;
    }
    this.#work.spend(stepsOfMinute);
    this.#minutes.push(minute);
    this.#counts.push(count);
  }

  #countInterval({ anchorAt, intervalSeconds }: IntervalRule, start: Instant, end: Instant): void {
    const intervalMs = intervalSeconds * 1_000;
    const upTo = (instant: Instant) => Math.max(0, Math.floor((instant - anchorAt) / intervalMs));
    for (let k = upTo(start - 1) + 1; anchorAt + k * intervalMs < end;) {
      const minute = Math.floor((anchorAt + k * intervalMs) / minuteMs);
      const next = upTo(Math.min((minute + 1) * minuteMs, end) - 1) + 1;
      this.#add(minute, next - k);
      k = next;
    }
  }

  #countCron(rule: CronRule, start: Instant, end: Instant): void {
    const pattern = compileCronPattern(rule.cronExpression);
    const zone = zoneOf(rule.timezone);
    for (let cursor = start; cursor < end;) {
      this.#work.spend(1);
      const next = nextUnbounded(rule, cursor - 1);
      if (next === null || next >= end) return;
      const wall = wallTimeAt(zone, next);
      const midnight = Math.floor(wall / dayMs) * dayMs;
      const dayEnd = next + (midnight + dayMs - wall);
      const plainEnd = (wall - next) % minuteMs === 0 ? plainUntil({ pattern, zone, midnight }, next, dayEnd) : null;
      cursor = Math.min(end, plainEnd ?? dayEnd);
      if (plainEnd === null) this.#walk(rule, next, cursor);
      else this.#countInDay(pattern, next - (wall - midnight), { fromMs: wall - midnight, toMs: cursor - next + wall - midnight });
    }
  }

  /** Counts a stretch of a day on which the pattern matches, in ms since the day's start; within it, the clocks do not change. */
  #countInDay(pattern: CronPattern, dayStart: Instant, { fromMs, toMs }: { fromMs: number; toMs: number }): void {
    const { minutes, perMinute } = profileOf(pattern);
    const first = dayStart / minuteMs;
    for (const minute of minutes) {
      const minuteFromMs = minute * minuteMs;
      const isWhole = minuteFromMs >= fromMs && minuteFromMs + minuteMs <= toMs;
      if (isWhole) this.#add(first + minute, perMinute);
      else if (minuteFromMs < toMs && minuteFromMs + minuteMs > fromMs) {
        const count = countInDay(pattern, Math.max(fromMs, minuteFromMs), Math.min(toMs, minuteFromMs + minuteMs));
        if (count > 0) this.#add(first + minute, count);
      }
    }
  }

  #walk(rule: Rule, start: Instant, end: Instant): void {
    for (let at = nextUnbounded(rule, start - 1); at !== null && at < end; at = nextUnbounded(rule, at)) {
      this.#work.spend(1);
      this.#add(Math.floor(at / minuteMs), 1);
    }
  }
}

/** Up to when, from an occurrence on, the instants that fire are those whose wall time matches, at one offset. Null: slots are moved, dropped or doubled near that day. */
function plainUntil(
  { pattern, zone, midnight }: { pattern: CronPattern; zone: Zone; midnight: number },
  from: Instant,
  dayEnd: Instant,
): Instant | null {
  if (zone.isUtc) return dayEnd;
  // Such a pattern follows real time: it is even up to the change, and again after it.
  if (pattern.matchesEveryHour) return nextClockChange(zone, from, dayEnd)?.at ?? dayEnd;
  const dayStart = from - (wallTimeAt(zone, from) - midnight);
  return nextClockChange(zone, dayStart - dayMs, dayEnd + dayMs) === null ? dayEnd : null;
}

interface DayProfile {
  /** Minutes of a matching day, ascending. */
  minutes: Uint16Array;
  /** Occurrences in each of them. */
  perMinute: number;
}

const profiles = new WeakMap<CronPattern, DayProfile>();

function profileOf(pattern: CronPattern): DayProfile {
  const known = profiles.get(pattern);
  if (known !== undefined) return known;
  const { times } = pattern;
  const matching = (field: readonly number[]) => [...field.keys()].filter((value) => field[value] === 1);
  const minutes = matching(times.hour).flatMap((hour) => matching(times.minute).map((minute) => hour * 60 + minute));
  const profile = { minutes: Uint16Array.from(minutes), perMinute: matching(times.second).length };
  profiles.set(pattern, profile);
  return profile;
}
