import type { Instant } from "./rule.ts";

/** The last instant whose year has four digits. */
const instantMax: Instant = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const dateTime = /^(\d{4}-\d{2}-\d{2})T((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Reads an RFC 3339 date-time with an offset, like `2026-03-08T09:00:00-05:00`, or null. Without an offset it would name a different instant for each reader, so
 * that is refused; so are dates that no calendar has and instants before 1970. Digits beyond milliseconds are cut off.
 */
export function parseInstant(text: string): Instant | null {
  const parts = dateTime.exec(text);
  if (parts === null) return null;
  const [, date = "", time = "", fraction = "", offset = ""] = parts;
  const [year, month, day] = date.split("-").map(Number) as [number, number, number];
  // Date.parse reads February 30th as March 2nd; the last day of a month is the day before the next one's first.
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return null;
  const instant = Date.parse(`${date}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}${offset}`);
  return instant >= 0 && instant <= instantMax ? instant : null;
}
