import { quote } from "./quote.ts";
import type { Reading } from "./read-rule-fields.ts";
import type { Rule } from "./rule.ts";

/** The fields of each kind, under their API names. `starts_at` and `ends_at` go with every kind. */
export const fieldsOfKind = {
  cron: ["cron_expression", "frequency", "timezone", "dst_gap", "dst_overlap"],
  interval: ["interval_seconds", "anchor_at"],
  once: ["run_at", "timezone", "dst_gap", "dst_overlap"],
} as const satisfies Record<Rule["kind"], readonly string[]>;

export type RuleField = "kind" | (typeof fieldsOfKind)[Rule["kind"]][number] | "starts_at" | "ends_at" | "calendars";

/**
 * A rule as it comes over the wire, not trusted in any way. Absent and null mean the same. Instants are RFC 3339 texts with an offset; `run_at` may also be a local time, to be
 * read in `timezone`.
 */
export type RuleInput = { readonly [Field in RuleField]?: unknown };

export interface RuleProblem {
  field: RuleField;
  /** What the field held. */
  value: unknown;
  /** A phrase to be read after the field's name: what was given, what is wrong with it and what is allowed. */
  message: string;
}

/** One rule being read: takes fields from the input and collects everything that is wrong with them, so that a user hears it all at once. */
export class RuleReader {
  readonly problems: RuleProblem[] = [];
  readonly #input: RuleInput;

  constructor(input: RuleInput) {
    this.#input = input;
  }

  refuse(field: RuleField, message: string): void {
    this.problems.push({ field, value: this.#input[field] ?? null, message });
  }

  /** The field's value, or `fallback` where it is absent. Undefined when it was refused. */
  optional<Value, Fallback>(
    field: RuleField,
    fallback: Fallback,
    reader: (value: unknown) => Reading<Value>,
  ): Value | Fallback | undefined {
    const value = this.#input[field] ?? undefined;
    if (value === undefined) return fallback;
    const reading = reader(value);
    if ("value" in reading) return reading.value;
    this.refuse(field, reading.problem);
    return undefined;
  }

  /** The field's value. Undefined when it was refused or is absent, which is refused too. */
  required<Value>(field: RuleField, reader: (value: unknown) => Reading<Value>): Value | undefined {
    if ((this.#input[field] ?? undefined) === undefined) this.refuse(field, "is missing");
    return this.optional(field, undefined, reader);
  }

  /** True when the field holds anything. */
  has(field: RuleField): boolean {
    return (this.#input[field] ?? undefined) !== undefined;
  }

  /** The kind, after refusing the fields of the other kinds: silently dropping them would hide a misunderstanding. */
  kind(): Rule["kind"] | undefined {
    const kinds = Object.keys(fieldsOfKind) as Rule["kind"][];
    const kind = kinds.find((known) => known === this.#input.kind);
    if (kind === undefined) {
      this.refuse("kind", `is ${quote(this.#input.kind ?? null)}; it must be "cron", "interval" or "once"`);
      return undefined;
    }
    const own: readonly string[] = fieldsOfKind[kind];
    for (const other of kinds.filter((known) => known !== kind)) {
      for (const field of fieldsOfKind[other].filter((name) => !own.includes(name))) {
        // A field of two kinds is refused once.
        if (this.problems.some((problem) => problem.field === field)) continue;
        this.optional(field, undefined, () => ({ problem: `belongs to kind "${other}"; this rule is of kind "${kind}"` }));
      }
    }
    return kind;
  }
}
