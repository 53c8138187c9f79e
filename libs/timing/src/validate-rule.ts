import { nextOccurrence } from "./next-occurrence.ts";
import { quote } from "./quote.ts";
import { readCronExpression, readInstant, readIntervalSeconds, readTimezone } from "./read-rule-fields.ts";
import { RuleReader, type RuleInput, type RuleProblem } from "./rule-input.ts";
import type { Instant, Rule, RuleBounds } from "./rule.ts";

export type RuleValidation = { ok: true; rule: Rule; firstAt: Instant } | { ok: false; problems: RuleProblem[] };

export interface ValidateRuleOptions {
  /** The instant of creation: occurrences are later than it, and it is the default of `anchor_at`. */
  nowAt: Instant;
  /** The shortest interval that the caller's policy allows. Default 1. */
  intervalSecondsMin?: number;
}

/** A cron expression must fire within this: long enough for every February 29th but those around 2100. */
const firstOccurrenceWithinMs = 5 * 366 * 86_400_000;

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
  const bounds = readBounds(reader);
  switch (kind) {
    case "cron": {
      const cronExpression = reader.required("cron_expression", readCronExpression);
      const timezone = reader.optional("timezone", "UTC", readTimezone);
      return cronExpression === undefined || timezone === undefined ? undefined : { kind, cronExpression, timezone, ...bounds };
    }
    case "interval": {
      const { nowAt, intervalSecondsMin = 1 } = options;
      const intervalSeconds = reader.required("interval_seconds", (value) => readIntervalSeconds(value, intervalSecondsMin));
      const anchorAt = reader.optional("anchor_at", nowAt, readInstant);
      return intervalSeconds === undefined || anchorAt === undefined ? undefined : { kind, intervalSeconds, anchorAt, ...bounds };
    }
    case "once": {
      const runAt = reader.required("run_at", readInstant);
      return runAt === undefined ? undefined : { kind, runAt, ...bounds };
    }
    case undefined:
      return undefined;
  }
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
  const firstAt = nextOccurrence({ ...rule, endsAt: Infinity }, nowAt);
  if (firstAt === null) {
    refuseEmpty(rule, reader, nowAt);
  } else if (rule.kind === "cron" && firstAt > Math.max(nowAt, startsAt) + firstOccurrenceWithinMs) {
    reader.refuse("cron_expression", `${quote(rule.cronExpression)} would first fire at ${show(firstAt)}; it must fire within five years`);
  } else if (firstAt > endsAt) {
    reader.refuse("ends_at", `is ${show(endsAt)}; the first occurrence is after that, at ${show(firstAt)}`);
  } else {
    return firstAt;
  }
  return undefined;
}

function refuseEmpty(rule: Rule, reader: RuleReader, nowAt: Instant): void {
  if (rule.kind === "cron") {
    reader.refuse("cron_expression", `${quote(rule.cronExpression)} never fires: no date to come matches it`);
  } else if (rule.kind === "once" && rule.runAt <= nowAt) {
    reader.refuse("run_at", `is ${show(rule.runAt)}, which is in the past; it must be later than ${show(nowAt)}`);
  } else {
    reader.refuse("starts_at", "is after the only occurrence, run_at");
  }
}

function show(instant: Instant): string {
  return new Date(instant).toISOString();
}
