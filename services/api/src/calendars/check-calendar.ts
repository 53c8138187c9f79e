import { calendarEntryForms, parseCalendarEntry } from "@downbeat/timing/parse-calendar.ts";
import { readTimezone } from "@downbeat/timing/read-rule-fields.ts";
import { type FieldError, Problem } from "../http/problem.ts";

/** Refuses a calendar whose zone or entries the timing library cannot read, naming each of them. */
export function checkCalendar({
  timezone,
  entries = [],
}: {
  timezone?: string | undefined;
  entries?: readonly string[] | undefined;
}): void {
  const errors: FieldError[] = [];
  const zone = timezone === undefined ? undefined : readTimezone(timezone);
  if (zone !== undefined && "problem" in zone) errors.push({ field: "timezone", message: zone.problem, value: timezone });
  for (const [index, entry] of entries.entries()) {
    const reading = parseCalendarEntry(entry);
    if ("problem" in reading)
      errors.push({ field: `entries.${index}`, message: reading.problem, value: entry, expected: calendarEntryForms });
  }
  if (errors.length > 0) throw new Problem("invalid_value", { errors: errors.slice(0, errorsMax) });
}

/** A thousand entries in a foreign form need no thousand explanations. */
const errorsMax = 20;
