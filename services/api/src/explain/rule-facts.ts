import { occurrenceAt } from "@downbeat/timing/plan-due.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type InstantTrace, traceInstant } from "@downbeat/timing/trace-instant.ts";
import { type GapSlots, gapSlotsAt } from "./asked-instant.ts";
import type { RuleSpan } from "./rule-history.ts";

/** The rule that decided about an instant, and what it says. */
export interface RuleFacts {
  span: RuleSpan;
  /** Null: it cannot be evaluated, `problem` says why. */
  trace: InstantTrace | null;
  problem: string | null;
  /** When an occurrence at the instant is to start: later, where the schedule is spread. */
  dueAt: Instant;
  gap: GapSlots | null;
}

/** What a rule says about an instant. */
export function ruleFactsAt(span: RuleSpan, at: Instant): RuleFacts {
  const { timing } = span;
  try {
    const trace = traceInstant(timing.rule, at);
    const dueAt = trace.isOccurrence ? occurrenceAt(timing, at).dueAt : at;
    return { span, trace, problem: null, dueAt, gap: trace.verdict === "no_match" ? gapSlotsAt(timing.rule, at) : null };
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    return { span, trace: null, problem: `its ${error.field} ${error.message}`, dueAt: at, gap: null };
  }
}
