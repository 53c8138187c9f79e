/**
 * An independent answer to "when is this due", for tests to compare with. It shares no code with the library or with croner: it reads cron fields by itself, asks
 * `Intl` what a zone's clocks show, and decides what clock changes mean from labels alone. It knows no offsets and searches for nothing: it writes down every
 * real minute with the label that it shows and looks at each of them. That is slow, and simple enough to be believed.
 */
import type { CronRule, Instant } from "./rule.ts";

/** A minute of real time, counted since the Unix epoch. */
type Minute = number;

/** What clocks show during a minute, counted in minutes as if it were UTC. */
type Label = number;

/** Labels of consecutive minutes. */
interface Table {
  start: Minute;
  labels: Int32Array;
}

/** The longest gap that is daylight saving. What a zone leaves out beyond that was never going to be due. */
const gapMinutesMax = 180;

/** How far a clock change reaches: labels that repeat, and slots that are shifted, are at most 3 hours away from their other place. */
const marginMinutes = 240;

/** The occurrences of `rule` in `[from, to)`, without its bounds. */
export function enumerateMinutes(rule: CronRule, from: Instant, to: Instant): Instant[] {
  const pattern = patternOf(rule.cronExpression);
  const table = tableOf(rule.timezone, Math.floor(from / 60_000) - marginMinutes, Math.ceil(to / 60_000) + marginMinutes);
  const runs = pattern.matchesEveryHour ? runsInRealTime(pattern, table) : runsOfSlots(pattern, table, rule);
  return [...new Set(runs)].sort((a, b) => a - b).filter((at) => at >= from && at < to);
}

/** Every real second whose label matches, of a pattern whose hours all do. */
function runsInRealTime(pattern: Pattern, { start, labels }: Table): Instant[] {
  const runs: Instant[] = [];
  for (let index = 0; index < labels.length; index += 1) {
    const label = labels[index] as Label;
    if (pattern.isMinute(label % 60) && pattern.isDay(Math.floor(label / 1_440))) runs.push(...secondsOf(pattern, start + index));
  }
  return runs;
}

/** Every label that matches is one slot, whether clocks show it once, twice or never. */
function runsOfSlots(pattern: Pattern, { start, labels }: Table, { dstGap = "run_at_gap_end", dstOverlap = "first" }: CronRule): Instant[] {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const label of labels) {
    if (label < lowest) lowest = label;
    if (label > highest) highest = label;
  }
  const slots = matchingLabels(pattern, lowest, highest);
  if (slots.length === 0) return [];
  const unshown = -1;
  const firstShown = new Int32Array(highest - lowest + 1).fill(unshown);
  const lastShown = new Int32Array(highest - lowest + 1).fill(unshown);
  for (let index = 0; index < labels.length; index += 1) {
    const row = (labels[index] as Label) - lowest;
    if (firstShown[row] === unshown) firstShown[row] = start + index;
    lastShown[row] = start + index;
  }
  const runs: Instant[] = [];
  for (const slot of slots) {
    const row = slot - lowest;
    const first = firstShown[row] as Minute;
    const last = lastShown[row] as Minute;
    if (first === unshown) {
      // The lowest and the highest label are shown, so a gap has a neighbour on either side.
      let gapStart = row;
      while (firstShown[gapStart - 1] === unshown) gapStart -= 1;
      let gapEnd = row;
      while (firstShown[gapEnd] === unshown) gapEnd += 1;
      if (gapEnd - gapStart > gapMinutesMax) continue;
      const firstAfterGap = firstShown[gapEnd] as Minute;
      if (dstGap === "run_at_gap_end") runs.push(firstAfterGap * 60_000);
      if (dstGap === "shift") runs.push(...secondsOf(pattern, firstAfterGap + row - gapStart));
    } else {
      if (first === last || dstOverlap !== "last") runs.push(...secondsOf(pattern, first));
      if (first !== last && dstOverlap !== "first") runs.push(...secondsOf(pattern, last));
    }
  }
  return runs;
}

function matchingLabels(pattern: Pattern, lowest: Label, highest: Label): Label[] {
  const slots: Label[] = [];
  for (let label = lowest; label <= highest; label += 1) {
    // On to the last minute of a day or an hour that does not match.
    if (!pattern.isDay(Math.floor(label / 1_440))) label += 1_439 - (label % 1_440);
    else if (!pattern.isHour(Math.floor(label / 60) % 24)) label += 59 - (label % 60);
    else if (pattern.isMinute(label % 60)) slots.push(label);
  }
  return slots;
}

function secondsOf(pattern: Pattern, minute: Minute): Instant[] {
  return pattern.seconds.map((second) => (minute * 60 + second) * 1_000);
}

// ---- What clocks show ----

interface Clock {
  format: Intl.DateTimeFormat;
  /** The labels of whole hours of real time, by number. Many patterns are compared around the same clock changes, which are read once. */
  hours: Map<number, Int32Array>;
}

const clocks = new Map<string, Clock>();

function clockOf(timezone: string): Clock {
  const clock = clocks.get(timezone) ?? {
    // Swedes write "2026-03-08 02:30", which is quick to read.
    format: new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short", timeStyle: "short" }),
    hours: new Map(),
  };
  clocks.set(timezone, clock);
  return clock;
}

function tableOf(timezone: string, start: Minute, end: Minute): Table {
  const clock = clockOf(timezone);
  const firstHour = Math.floor(start / 60);
  const hoursCount = Math.ceil(end / 60) - firstHour;
  const labels = new Int32Array(hoursCount * 60);
  for (let index = 0; index < hoursCount; index += 1) {
    const hour = clock.hours.get(firstHour + index) ?? readHour(clock, firstHour + index);
    clock.hours.set(firstHour + index, hour);
    labels.set(hour, index * 60);
  }
  return { start: firstHour * 60, labels };
}

/** Asks about the two ends of an hour and, unless clocks just ran on between them, about every minute. That misses only a change that is undone within the hour. */
function readHour(clock: Clock, hour: number): Int32Array {
  const labels = new Int32Array(60);
  const start = hour * 3_600_000;
  const first = readLabel(clock, start);
  const isSteady = readLabel(clock, start + 3_599_000) === first + 59;
  for (let minute = 0; minute < 60; minute += 1) {
    const at = start + minute * 60_000;
    labels[minute] = isSteady ? first + minute : readLabel(clock, at);
    if (!isSteady && readLabel(clock, at + 59_000) !== labels[minute]) {
      throw new Error(`clocks change within the minute ${new Date(at).toISOString()}`);
    }
  }
  return labels;
}

/** What clocks in `timezone` show at `at`. */
export function labelAt(timezone: string, at: Instant): Label {
  return readLabel(clockOf(timezone), at);
}

function readLabel({ format }: Clock, at: Instant): Label {
  const shown = format.format(at);
  const parts = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)$/.exec(shown);
  if (parts === null) throw new Error(`unexpected format: ${shown}`);
  const [year, month, day, hour, minute] = parts.slice(1).map(Number) as [number, number, number, number, number];
  return Date.UTC(year, month - 1, day, hour, minute) / 60_000;
}

// ---- What a pattern matches ----

interface Pattern {
  seconds: number[];
  isMinute: (minute: number) => boolean;
  isHour: (hour: number) => boolean;
  /** Whether a day matches, counted since the Unix epoch. */
  isDay: (day: number) => boolean;
  matchesEveryHour: boolean;
}

interface CalendarDay {
  year: number;
  month: number;
  day: number;
  weekday: number;
  /** The number of the month's last day. */
  lastDay: number;
}

type DayMatcher = (date: CalendarDay) => boolean;

const nicknames: Record<string, string> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};
const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** Tests ask about one pattern several times over. */
let latest: { expression: string; pattern: Pattern } | undefined;

function patternOf(expression: string): Pattern {
  if (latest?.expression !== expression) latest = { expression, pattern: readPattern(expression) };
  return latest.pattern;
}

function readPattern(expression: string): Pattern {
  const fields = (nicknames[expression.toLowerCase()] ?? expression).toUpperCase().replaceAll("?", "*").split(/\s+/);
  const [second, minute, hour, dayOfMonth, month, dayOfWeek, year] = (
    fields.length === 5 ? ["0", ...fields, "*"] : fields.length === 6 ? [...fields, "*"] : fields
  ) as [string, string, string, string, string, string, string];
  const minutes = readValues(minute, 0, 59);
  const hours = readValues(hour, 0, 23);
  const months = readValues(month, 1, 12, monthNames);
  const years = year === "*" ? null : readValues(year, 1, 9_999);
  const isDayOfEither = readDays(dayOfMonth, dayOfWeek);
  const known = new Map<number, boolean>();
  return {
    seconds: [...readValues(second, 0, 59)],
    isMinute: membership(minutes, 60),
    isHour: membership(hours, 24),
    isDay(number) {
      const answer = known.get(number);
      if (answer !== undefined) return answer;
      const date = calendarDayOf(number);
      const isMatch = (years === null || years.has(date.year)) && months.has(date.month) && isDayOfEither(date);
      known.set(number, isMatch);
      return isMatch;
    },
    matchesEveryHour: hours.size === 24,
  };
}

function membership(values: ReadonlySet<number>, count: number): (value: number) => boolean {
  const isMember = Array.from({ length: count }, (_, value) => values.has(value));
  return (value) => isMember[value] === true;
}

/** When both day fields are restricted, one of them suffices, unless a plus asks for both. */
function readDays(dayOfMonth: string, dayOfWeek: string): DayMatcher {
  const wantsBoth = dayOfWeek.startsWith("+");
  const weekdayField = wantsBoth ? dayOfWeek.slice(1) : dayOfWeek;
  const isDayOfMonth = anyOf(dayOfMonth, readDayOfMonth);
  const isDayOfWeek = anyOf(weekdayField, readDayOfWeek);
  if (wantsBoth || dayOfMonth === "*" || weekdayField === "*") return (date) => isDayOfMonth(date) && isDayOfWeek(date);
  return (date) => isDayOfMonth(date) || isDayOfWeek(date);
}

function anyOf(field: string, read: (item: string) => DayMatcher): DayMatcher {
  const matchers = field.split(",").map(read);
  return (date) => matchers.some((matcher) => matcher(date));
}

function readDayOfMonth(item: string): DayMatcher {
  if (item === "L") return ({ day, lastDay }) => day === lastDay;
  if (item === "LW") return (date) => date.day === Math.max(...workdaysOf(date));
  if (item.startsWith("L-")) return ({ day, lastDay }) => day === lastDay - numberOf(item.slice(2));
  if (item.endsWith("W")) {
    const wanted = numberOf(item.slice(0, -1));
    // A workday is never equally far from two others around a weekend: Saturday is nearer to Friday, Sunday to Monday.
    const distance = (day: number) => Math.abs(day - wanted);
    return (date) => wanted <= date.lastDay && date.day === workdaysOf(date).sort((a, b) => distance(a) - distance(b))[0];
  }
  const days = readValues(item, 1, 31);
  return ({ day }) => days.has(day);
}

function readDayOfWeek(item: string): DayMatcher {
  // "FRIL" is short for "FRI#L".
  const [values = "", occurrence] = item.includes("#") ? item.split("#") : item.endsWith("L") ? [item.slice(0, -1), "L"] : [item];
  const weekdays = new Set([...readValues(values, 0, values.includes("*") ? 6 : 7, weekdayNames)].map((weekday) => weekday % 7));
  return ({ day, weekday, lastDay }) => {
    if (!weekdays.has(weekday)) return false;
    if (occurrence === undefined) return true;
    return occurrence === "L" ? day + 7 > lastDay : Math.ceil(day / 7) === numberOf(occurrence);
  };
}

/** The numbers that a field of `*`, values, ranges and steps stands for. */
function readValues(field: string, min: number, max: number, names: readonly string[] = []): Set<number> {
  const values = new Set<number>();
  for (const item of field.split(",")) {
    const [range = "", step = "1"] = item.split("/");
    const [from, to = from] = range === "*" ? [min, max] : range.split("-").map((text) => valueOf(text, min, names));
    // Sunday comes first in the week, but as the end of a range it is the seventh day.
    const last = range.endsWith("-SUN") ? 7 : Number(to);
    for (let value = Number(from); value <= last; value += numberOf(step)) values.add(value);
  }
  if ([...values].some((value) => value < min || value > max)) throw new Error(`${field} is not within ${min}–${max}`);
  return values;
}

function valueOf(text: string, min: number, names: readonly string[]): number {
  const index = names.indexOf(text);
  return index === -1 ? numberOf(text) : index + min;
}

function numberOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`${JSON.stringify(text)} is not a number`);
  return Number(text);
}

function workdaysOf({ day, weekday, lastDay }: CalendarDay): number[] {
  return Array.from({ length: lastDay }, (_, index) => index + 1).filter((other) => {
    const otherWeekday = (((weekday + other - day) % 7) + 7) % 7;
    return otherWeekday !== 0 && otherWeekday !== 6;
  });
}

function calendarDayOf(number: number): CalendarDay {
  const date = new Date(number * 86_400_000);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
  return { year, month, day: date.getUTCDate(), weekday: date.getUTCDay(), lastDay: new Date(Date.UTC(year, month, 0)).getUTCDate() };
}
