import type { Calendar } from "./calendar.ts";
import { compileCronPattern, nextWallTime } from "./cron-pattern.ts";
import { compileFrequency } from "./frequency.ts";
import { nextOccurrence, nextUnbounded } from "./next-occurrence.ts";
import { quote } from "./quote.ts";
import { readCronExpression, readInstant, readIntervalSeconds, readTimezone, readWord } from "./read-rule-fields.ts";
import { readRunAt } from "./read-run-at.ts";
import { RuleReader, type RuleInput, type RuleProblem } from "./rule-input.ts";
import { dstGaps, dstOverlaps, type Instant, type Rule, type RuleBounds } from "./rule.ts";

export type RuleValidation = { ok: true; rule: Rule; firstAt: Instant } | { ok: false; problems: RuleProblem[] };

export interface ValidateRuleOptions {
  /** The instant of creation: occurrences are later than it, and it is the default of `anchor_at`. */
  nowAt: Instant;
  /** The shortest time between two occurrences that the caller's policy allows, in seconds. Default 1. */
  intervalSecondsMin?: number;
  /** Calendars that the rule is held to. */
  calendars?: readonly Calendar[];
}

/** A cron expression must fire within this: long enough for every February 29th but those around 2100. */
const firstOccurrenceWithinMs = 5 * 366 * 86_400_000;

/** Wall times looked at for the shortest time between two: patterns repeat within a day or a week, so a few hundred show it. */
const gapsLookedAt = 500;

/**
 * Turns user input into a rule that has at least one occurrence after `nowAt`, the first being `firstAt`, or says everything that is wrong with it.
 * `timezone` defaults to "UTC", `anchor_at` to `nowAt`.
 */
export function validateRule(input: RuleInput, options: ValidateRuleOptions): RuleValidation {
  const reader = new RuleReader(input);
  const rule = readRule(reader, options);
  if (rule === undefined || reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const firstAt = findFirst(rule, reader, options.nowAt);
  return firstAt === undefined ? { ok: false, problems: reader.problems } : { ok: true, rule, firstAt };
}

function readRule(reader: RuleReader, options: ValidateRuleOptions): Rule | undefined {
  const kind = reader.kind();
  const bounds = { ...readBounds(reader), ...(options.calendars?.length ? { calendars: options.calendars } : {}) };
  const { nowAt, intervalSecondsMin = 1 } = options;
  switch (kind) {
    case "cron": {
      const cronExpression = readPattern(reader, intervalSecondsMin);
      const timezone = reader.optional("timezone", "UTC", readTimezone);
      const dst = readDst(reader);
      return cronExpression === undefined || timezone === undefined ? undefined : { kind, cronExpression, timezone, ...dst, ...bounds };
    }
    case "interval": {
      const intervalSeconds = reader.required("interval_seconds", (value) => readIntervalSeconds(value, intervalSecondsMin));
      const anchorAt = reader.optional("anchor_at", nowAt, readInstant);
      return intervalSeconds === undefined || anchorAt === undefined ? undefined : { kind, intervalSeconds, anchorAt, ...bounds };
    }
    case "once": {
      const timezone = reader.optional("timezone", undefined, readTimezone);
      const { dstGap, dstOverlap } = readDst(reader);
      // Read in a zone that was refused, a local time would be refused once more, for a reason that is none.
      const isReadable = timezone !== undefined || !reader.has("timezone");
      const runAt = isReadable ? reader.required("run_at", (value) => readRunAt(value, { timezone, dstGap, dstOverlap })) : undefined;
      return runAt === undefined ? undefined : { kind, runAt, ...bounds };
    }
    case undefined:
      return undefined;
  }
}

/** The expression, given as it is or as a preset. */
function readPattern(reader: RuleReader, intervalSecondsMin: number): string | undefined {
  const fromPreset = reader.optional("frequency", undefined, compileFrequency);
  if (reader.has("frequency") && reader.has("cron_expression")) {
    reader.refuse("frequency", "and cron_expression contradict each other: give one of them");
    return undefined;
  }
  if (reader.has("frequency") && fromPreset === undefined) return undefined;
  const field = fromPreset === undefined ? "cron_expression" : "frequency";
  const expression = fromPreset ?? reader.required("cron_expression", readCronExpression);
  if (expression === undefined) return undefined;
  const gapSeconds = intervalSecondsMin > 1 ? shortestGapSeconds(expression) : Infinity;
  if (gapSeconds >= intervalSecondsMin) return expression;
  reader.refuse(field, `fires twice within ${gapSeconds} s; at least ${intervalSecondsMin} s must lie between two occurrences`);
  return undefined;
}

function shortestGapSeconds(expression: string): number {
  const pattern = compileCronPattern(expression);
  let shortest = Infinity;
  let previous = nextWallTime(pattern, 0);
  for (let looked = 0; previous !== null && looked < gapsLookedAt && shortest > 1_000; looked += 1) {
    const next = nextWallTime(pattern, previous);
    if (next !== null) shortest = Math.min(shortest, next - previous);
    previous = next;
  }
  return shortest / 1_000;
}

function readDst(reader: RuleReader) {
  const dstGap = reader.optional("dst_gap", undefined, readWord(dstGaps));
  const dstOverlap = reader.optional("dst_overlap", undefined, readWord(dstOverlaps));
  return { ...(dstGap === undefined ? {} : { dstGap }), ...(dstOverlap === undefined ? {} : { dstOverlap }) };
}

function readBounds(reader: RuleReader): RuleBounds {
  const startsAt = reader.optional("starts_at", undefined, readInstant);
  const endsAt = reader.optional("ends_at", undefined, readInstant);
  if (startsAt !== undefined && endsAt !== undefined && endsAt < startsAt) {
    reader.refuse("ends_at", `is ${show(endsAt)}; it must not be before starts_at, ${show(startsAt)}`);
  }
  return { ...(startsAt === undefined ? {} : { startsAt }), ...(endsAt === undefined ? {} : { endsAt }) };
}

/** The first occurrence after `nowAt`. Where there is none, refuses the field that is to blame. */
function findFirst(rule: Rule, reader: RuleReader, nowAt: Instant): Instant | undefined {
  const { startsAt = nowAt, endsAt = Infinity } = rule;
  // A pattern that never fires is refused as such, whatever the zone and calendars make of it.
  const patternAt = nextUnbounded(rule, Math.max(nowAt, startsAt - 1));
  const firstAt = nextOccurrence({ ...rule, endsAt: Infinity }, nowAt);
  if (patternAt === null) {
    refuseEmpty(rule, reader, nowAt);
  } else if (rule.kind === "cron" && patternAt > Math.max(nowAt, startsAt) + firstOccurrenceWithinMs) {
    reader.refuse(
      patternField(reader),
      `${quote(rule.cronExpression)} would first fire at ${show(patternAt)}; it must fire within five years`,
    );
  } else if (firstAt === null) {
    reader.refuse("calendars", `leave nothing of the rule: the next occurrence without them would be at ${show(patternAt)}`);
  } else if (firstAt > endsAt) {
    reader.refuse("ends_at", `is ${show(endsAt)}; the first occurrence is after that, at ${show(firstAt)}`);
  } else {
    return firstAt;
  }
  return undefined;
}

function patternField(reader: RuleReader): "frequency" | "cron_expression" {
  return reader.has("frequency") ? "frequency" : "cron_expression";
}

function refuseEmpty(rule: Rule, reader: RuleReader, nowAt: Instant): void {
  if (rule.kind === "cron") {
    reader.refuse(patternField(reader), `${quote(rule.cronExpression)} never fires: ${explainNever(rule.cronExpression)}`);
  } else if (rule.kind === "once" && rule.runAt <= nowAt) {
    reader.refuse("run_at", `is ${show(rule.runAt)}, which is in the past; it must be later than ${show(nowAt)}`);
  } else {
    reader.refuse("starts_at", "is after the only occurrence, run_at");
  }
}

/** The usual mistake is a day that its month does not have. */
function explainNever(cronExpression: string): string {
  const parts = cronExpression.split(" ");
  const [day = "", month = ""] = parts.length === 5 ? parts.slice(2) : parts.slice(3);
  const isDayOfMonth = /^(30|31)$/.test(day) && /^\d+$|^[A-Z]{3}$/i.test(month);
  return isDayOfMonth ? `month ${month} has no day ${day}; its last day is written L` : "no date to come matches it";
}

function show(instant: Instant): string {
  return new Date(instant).toISOString();
}
