import type { CalendarEntry } from "./calendar.ts";
import { parseInstant } from "./parse-instant.ts";
import { quote } from "./quote.ts";
import type { Reading } from "./read-rule-fields.ts";

const dayMs = 86_400_000;
const weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** What an entry may look like, for messages and documents. */
export const calendarEntryForms = [
  "2026-12-25 (a day)",
  "2026-12-24/2026-12-26 (days, both included)",
  "12-25 or 12-24/01-02 (the same days every year)",
  "MON-FRI 09:00-17:00 or SAT,SUN (times of the week; 24:00 is the end of a day)",
  "2026-12-24T18:00:00Z/2026-12-27T06:00:00Z (from the first instant up to, not including, the second)",
] as const;

/** Reads one entry of a calendar. A problem is a phrase that follows the field's name. */
export function parseCalendarEntry(text: unknown): Reading<CalendarEntry> {
  if (typeof text !== "string") return refuse(text);
  const [from = "", to = from, ...others] = text.trim().split("/");
  if (others.length > 0) return refuse(text);
  if (/^\d{4}-\d{2}-\d{2}$/.test(from)) return parseDays(text, from, to);
  if (/^\d{2}-\d{2}$/.test(from)) return parseYearly(text, from, to);
  if (/^\d.*T/.test(from)) return parsePeriod(text, from, to);
  return parseWeekly(text);
}

function parseDays(text: string, from: string, to: string): Reading<CalendarEntry> {
  const [fromDay, toDay] = [dayNumber(from), dayNumber(to)];
  if (fromDay === null || toDay === null) return { problem: `is ${quote(text)}, which is not a date that a calendar has` };
  if (toDay < fromDay) return { problem: `is ${quote(text)}, whose end is before its beginning` };
  return { value: { kind: "days", fromDay, toDay } };
}

function dayNumber(date: string): number | null {
  const at = parseInstant(`${date}T00:00:00Z`);
  return at === null ? null : at / dayMs;
}

function parseYearly(text: string, from: string, to: string): Reading<CalendarEntry> {
  // A leap year has every day of the year.
  const days = [from, to].map((day) => (dayNumber(`2028-${day}`) === null ? null : Number(day.slice(0, 2)) * 100 + Number(day.slice(3))));
  const [first, last] = days;
  if (first === null || last === null || first === undefined || last === undefined || !/^\d{2}-\d{2}$/.test(to))
    return { problem: `is ${quote(text)}, which is not a day of the year like 12-25` };
  return { value: { kind: "yearly", from: first, to: last } };
}

function parsePeriod(text: string, from: string, to: string): Reading<CalendarEntry> {
  const [fromAt, toAt] = [parseInstant(from), parseInstant(to)];
  if (fromAt === null || toAt === null)
    return { problem: `is ${quote(text)}; a period is two instants with an offset, like ${calendarEntryForms[4]}` };
  if (toAt <= fromAt) return { problem: `is ${quote(text)}, whose end is not after its beginning` };
  return { value: { kind: "period", from: fromAt, to: toAt } };
}

function parseWeekly(text: string): Reading<CalendarEntry> {
  const [, days = "", fromTime = "00:00", toTime = "24:00"] =
    /^(\S+)(?:\s+(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2}))?$/.exec(text.trim()) ?? [];
  const weekdays = days.split(",").map(parseWeekdays);
  const [fromMinute, toMinute] = [minuteOf(fromTime), minuteOf(toTime)];
  if (weekdays.includes(null) || fromMinute === null || toMinute === null) return refuse(text);
  if (toMinute <= fromMinute)
    return { problem: `is ${quote(text)}, whose end is not after its beginning; write a night as two entries, up to 24:00 and from 00:00` };
  return { value: { kind: "weekly", weekdays: [...new Set(weekdays.flatMap((list) => list ?? []))].sort(), fromMinute, toMinute } };
}

function parseWeekdays(text: string): number[] | null {
  const [first = -1, last = first, ...others] = text.split("-").map((name) => weekdayNames.indexOf(name.toUpperCase()));
  if (first < 0 || last < 0 || others.length > 0) return null;
  const length = ((last - first + 7) % 7) + 1;
  return Array.from({ length }, (_, index) => (first + index) % 7);
}

function minuteOf(time: string): number | null {
  const [hours = NaN, minutes = NaN] = time.split(":").map(Number);
  const minute = hours * 60 + minutes;
  return minutes < 60 && minute <= 1_440 ? minute : null;
}

function refuse(text: unknown): Reading<CalendarEntry> {
  return { problem: `is ${quote(text)}; an entry looks like one of: ${calendarEntryForms.join("; ")}` };
}
