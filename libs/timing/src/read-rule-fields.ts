import { closestName } from "./closest-name.ts";
import { compileCronPattern } from "./cron-pattern.ts";
import { parseInstant } from "./parse-instant.ts";
import { quote } from "./quote.ts";
import { intervalSecondsMax, UnusableRuleError, type Instant } from "./rule.ts";
import { suggestTimezone } from "./suggest-timezone.ts";
import { zoneOf } from "./zone.ts";

/** What a field of user input turned out to be. A problem is a phrase that follows the field's name: what was given, what is wrong, what is allowed. */
export type Reading<Value> = { value: Value } | { problem: string };

/** The three-letter names that the IANA database has. `Intl` knows more, with surprises: its "BST" is Dhaka. */
const threeLetterZones = new Set(["CET", "EET", "EST", "GMT", "HST", "MET", "MST", "PRC", "ROC", "ROK", "UCT", "UTC", "WET"]);

/** Reads a cron expression, with runs of white space reduced to one space. */
export function readCronExpression(value: unknown): Reading<string> {
  if (typeof value !== "string") return { problem: `is ${quote(value)}; it must be a text like "0 9 * * MON-FRI"` };
  const cronExpression = value.trim().replaceAll(/\s+/g, " ");
  return readUsable(cronExpression, () => compileCronPattern(cronExpression));
}

/** Reads an IANA zone name, legacy aliases included. Fixed offsets and ambiguous abbreviations are refused although `Intl` would take them. */
export function readTimezone(value: unknown): Reading<string> {
  if (typeof value !== "string") return { problem: `is ${quote(value)}; it must be an IANA name like "America/New_York"` };
  const offset = /^(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$/i.exec(value);
  if (offset !== null && !/^GMT[+-]0$/i.test(value)) {
    const [, sign, hours, minutes = "00"] = offset;
    // The signs of these names are the other way round: Etc/GMT-2 is two hours ahead of UTC.
    const fixedZone = minutes === "00" ? `, or "Etc/GMT${sign === "+" ? "-" : "+"}${Number(hours)}" if it should never change` : "";
    return { problem: `${quote(value)} is an offset, which does not follow daylight saving; name a zone like "Europe/Berlin"${fixedZone}` };
  }
  const reading = readUsable(value, () => zoneOf(value));
  if ("problem" in reading) {
    const suggestion = suggestTimezone(value);
    const hint = suggestion === null ? 'IANA names look like "Europe/Berlin"' : `did you mean "${suggestion}"?`;
    return { problem: `${reading.problem}; ${hint}` };
  }
  if (value.length === 3 && !threeLetterZones.has(value.toUpperCase())) {
    return {
      problem: `${quote(value)} is an abbreviation that means different zones to different people; name one like "America/Chicago"`,
    };
  }
  return reading;
}

/** Reads an RFC 3339 instant; see `parseInstant`. */
export function readInstant(value: unknown): Reading<Instant> {
  const instant = typeof value === "string" ? parseInstant(value) : null;
  if (instant !== null) return { value: instant };
  return {
    problem: `is ${quote(value)}; it must be a date and time with an offset, like "2026-03-08T09:00:00Z" or "2026-03-08T09:00:00-05:00"`,
  };
}

/** Reads one of a closed list of words. */
export function readWord<Word extends string>(words: readonly Word[]): (value: unknown) => Reading<Word> {
  return (value) => {
    const word = words.find((known) => known === value);
    if (word !== undefined) return { value: word };
    const meant = typeof value === "string" ? closestName(value, words) : undefined;
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    return {
      problem: `is ${quote(value)}; it must be ${words
        .map((known) => `"${known}"`)
        .join(", ")
        .replace(/, (?=[^,]*$)/, " or ")}${hint}`,
    };
  };
}

export function readIntervalSeconds(value: unknown, intervalSecondsMin: number): Reading<number> {
  if (typeof value === "number" && Number.isInteger(value) && value >= intervalSecondsMin && value <= intervalSecondsMax) return { value };
  return {
    problem: `is ${quote(value)}; it must be a whole number of seconds from ${intervalSecondsMin} to ${intervalSecondsMax} (366 days)`,
  };
}

function readUsable(value: string, use: () => unknown): Reading<string> {
  try {
    use();
    return { value };
  } catch (error) {
    if (error instanceof UnusableRuleError) return { problem: error.message };
    throw error;
  }
}
