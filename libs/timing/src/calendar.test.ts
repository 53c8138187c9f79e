import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryInstant, arbitraryRule, occurrencesIn, zoneNames } from "./arbitrary-rules.test-support.ts";
import { type Calendar, type CalendarEntry, nextBoundary, refusingCalendar } from "./calendar.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { parseCalendarEntry } from "./parse-calendar.ts";
import type { Rule } from "./rule.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

function calendar(kind: Calendar["kind"], timezone: string, ...texts: string[]): Calendar {
  const entries = texts.map((text): CalendarEntry => {
    const reading = parseCalendarEntry(text);
    if ("problem" in reading) throw new Error(reading.problem);
    return reading.value;
  });
  return { name: `${kind} ${texts.join(" ")}`, kind, timezone, entries };
}

const isRefused = (calendars: readonly Calendar[], instant: string) => refusingCalendar(calendars, Date.parse(instant)) !== null;

test.for([
  ["2026-12-25", "2026-12-24T23:00:00Z", "2026-12-25T22:59:59.999Z", "2026-12-24T22:59:59.999Z", "2026-12-25T23:00:00Z"],
  ["2026-12-24/2026-12-26", "2026-12-23T23:00:00Z", "2026-12-26T22:59:59.999Z", "2026-12-23T22:59:59.999Z", "2026-12-26T23:00:00Z"],
  ["12-25", "2031-12-24T23:00:00Z", "2031-12-25T22:59:59.999Z", "2031-12-24T22:59:59.999Z", "2031-12-25T23:00:00Z"],
  ["12-24/01-02", "2031-12-31T12:00:00Z", "2032-01-02T22:59:59.999Z", "2031-12-23T22:59:59.999Z", "2032-01-02T23:00:00Z"],
  ["02-29", "2028-02-28T23:00:00Z", "2028-02-29T22:59:59.999Z", "2027-02-28T12:00:00Z", "2027-03-01T12:00:00Z"],
  ["MON-FRI 09:00-17:00", "2026-12-24T08:00:00Z", "2026-12-24T15:59:59.999Z", "2026-12-24T07:59:59.999Z", "2026-12-24T16:00:00Z"],
  ["SAT,SUN", "2026-12-25T23:00:00Z", "2026-12-27T22:59:59.999Z", "2026-12-25T22:59:59.999Z", "2026-12-27T23:00:00Z"],
  ["SUN 22:00-24:00", "2026-12-27T21:00:00Z", "2026-12-27T22:59:59.999Z", "2026-12-27T20:59:59.999Z", "2026-12-27T23:00:00Z"],
  [
    "2026-12-24T18:00:00Z/2026-12-27T06:00:00Z",
    "2026-12-24T18:00:00Z",
    "2026-12-27T05:59:59.999Z",
    "2026-12-24T17:59:59.999Z",
    "2026-12-27T06:00:00Z",
  ],
] as const)("`%s` in Berlin: the first and the last instant inside, and those just outside", ([text, first, last, before, after]) => {
  const blackout = [calendar("blackout", "Europe/Berlin", text)];
  expect([first, last, before, after].map((instant) => isRefused(blackout, instant))).toEqual([true, true, false, false]);
  const allow = [calendar("allow", "Europe/Berlin", text)];
  expect([first, last, before, after].map((instant) => isRefused(allow, instant))).toEqual([false, false, true, true]);
});

test("a day is a day in the calendar's own zone, not in the rule's", () => {
  const everyHour: Rule = {
    kind: "cron",
    cronExpression: "0 * * * *",
    timezone: "America/New_York",
    calendars: [calendar("allow", "Asia/Tokyo", "2026-06-01")],
  };
  const hours = occurrencesIn(everyHour, Date.UTC(2026, 4, 1), Date.UTC(2026, 6, 1));
  expect([hours.length, hours[0], hours.at(-1)]).toEqual([24, Date.UTC(2026, 4, 31, 15), Date.UTC(2026, 5, 1, 14)]);
});

test("one blackout is enough to refuse, one allowing calendar enough to admit, and a blackout wins over both", () => {
  const weekdays = calendar("allow", "UTC", "MON-FRI");
  const saturdays = calendar("allow", "UTC", "SAT");
  const christmas = calendar("blackout", "UTC", "12-25");
  const refused = (instant: string) => refusingCalendar([weekdays, saturdays, christmas], Date.parse(instant));
  expect(refused("2026-12-24T12:00:00Z")).toBeNull();
  expect(refused("2026-12-26T12:00:00Z")).toBeNull();
  expect(refused("2026-12-25T12:00:00Z")).toBe(christmas);
  // No allowing calendar admits it; the first of them is named.
  expect(refused("2026-12-27T12:00:00Z")).toBe(weekdays);
  expect(refusingCalendar([], Date.now())).toBeNull();
});

test("an empty blackout refuses nothing, an empty allowing calendar everything", () => {
  expect(refusingCalendar([calendar("blackout", "UTC")], 0)).toBeNull();
  expect(refusingCalendar([calendar("allow", "UTC")], 0)).not.toBeNull();
});

test("on the day clocks go back, an hour of the week is both hours that show it", () => {
  const calendars = [calendar("allow", "America/New_York", "SUN 01:00-02:00")];
  const minutes: Rule = { kind: "cron", cronExpression: "*/30 * * * *", timezone: "UTC", calendars };
  expect(occurrencesIn(minutes, Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 2))).toEqual(
    ["05:00", "05:30", "06:00", "06:30"].map((time) => Date.parse(`2026-11-01T${time}:00Z`)),
  );
});

test("on the day clocks go forward, an hour of the week that never shows holds nothing", () => {
  const calendars = [calendar("allow", "America/New_York", "SUN 02:00-03:00")];
  const minutes: Rule = { kind: "cron", cronExpression: "*/30 * * * *", timezone: "UTC", calendars };
  expect(occurrencesIn(minutes, Date.UTC(2026, 2, 8), Date.UTC(2026, 2, 9))).toEqual([]);
});

const arbitraryEntry: fc.Arbitrary<CalendarEntry> = fc.oneof(
  fc
    .record({ kind: fc.constant("days" as const), fromDay: fc.integer({ min: 20_440, max: 20_820 }), length: fc.nat(5) })
    .map(({ kind, fromDay, length }) => ({ kind, fromDay, toDay: fromDay + length })),
  fc.record({
    kind: fc.constant("yearly" as const),
    from: fc.constantFrom(101, 308, 1101, 1224),
    to: fc.constantFrom(102, 310, 1102, 1231),
  }),
  fc
    .record({
      kind: fc.constant("weekly" as const),
      weekdays: fc.uniqueArray(fc.nat(6), { minLength: 1 }),
      fromMinute: fc.integer({ min: 0, max: 1_439 }),
      length: fc.integer({ min: 1, max: 1_440 }),
    })
    .map(({ length, ...entry }) => ({ ...entry, toMinute: Math.min(1_440, entry.fromMinute + length) })),
  fc
    .record({ kind: fc.constant("period" as const), from: arbitraryInstant, length: fc.integer({ min: 1, max: 10 * dayMs }) })
    .map(({ kind, from, length }) => ({ kind, from, to: from + length })),
);

const arbitraryCalendars = fc.array(
  fc.record({
    name: fc.constant("calendar"),
    kind: fc.constantFrom("allow" as const, "blackout" as const),
    timezone: fc.constantFrom(...zoneNames),
    entries: fc.array(arbitraryEntry, { minLength: 1, maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 3 },
);

test("up to its next boundary a calendar answers as it does now, through every clock change, and the boundary is ahead", () => {
  fc.assert(
    fc.property(
      arbitraryCalendars,
      arbitraryInstant,
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 30 }),
      (calendars, at, shares) => {
        const boundary = nextBoundary(calendars, at);
        expect(boundary).toBeGreaterThan(at);
        const answer = refusingCalendar(calendars, at);
        for (const share of [...shares, 0.999_999]) {
          const between = at + Math.floor(share * (boundary - at));
          expect([new Date(between), refusingCalendar(calendars, between)]).toEqual([new Date(between), answer]);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a rule with calendars has exactly those of its occurrences that none of them refuses", () => {
  fc.assert(
    fc.property(arbitraryRule, arbitraryCalendars, arbitraryInstant, fc.nat(3 * dayMs), (rule, calendars, start, lengthMs) => {
      const all = occurrencesIn(rule, start, start + lengthMs, 2_000);
      const end = all.length === 2_000 ? (all.at(-1) ?? start) : start + lengthMs;
      const admitted = all.filter((at) => at < end && refusingCalendar(calendars, at) === null);
      expect(occurrencesIn({ ...rule, calendars }, start, end)).toEqual(admitted);
    }),
    { numRuns: 300 },
  );
});

test("calendars that leave nothing of a rule have ended it: the search for its next occurrence comes to an end", () => {
  const everySecond: Rule = { kind: "interval", intervalSeconds: 1, anchorAt: 0, calendars: [calendar("allow", "UTC", "2020-01-01")] };
  expect(nextOccurrence(everySecond, Date.UTC(2026, 0, 1))).toBeNull();
  expect(nextOccurrence({ ...everySecond, endsAt: Date.UTC(2026, 1, 1) }, Date.UTC(2026, 0, 1))).toBeNull();
  // A hole of years is stepped over.
  expect(nextOccurrence({ ...everySecond, calendars: [calendar("allow", "UTC", "2029-01-01")] }, Date.UTC(2026, 0, 1))).toBe(
    Date.UTC(2029, 0, 1),
  );
});

test("a calendar of many entries answers as many calendars of one entry each, however they overlap and touch", () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryEntry, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(...zoneNames),
      fc.array(arbitraryInstant, { minLength: 1, maxLength: 50 }),
      (entries, timezone, instants) => {
        const blackout = (...some: CalendarEntry[]): Calendar => ({ name: "calendar", kind: "blackout", timezone, entries: some });
        const whole = [blackout(...entries)];
        const single = entries.map((entry) => blackout(entry));
        for (const at of instants)
          expect([new Date(at), refusingCalendar(whole, at) !== null]).toEqual([new Date(at), refusingCalendar(single, at) !== null]);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a rule of which a calendar leaves nothing ends, and to find that out takes a bounded number of steps, however finely its holes are cut", () => {
  const clockTime = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const evenMinutes = Array.from({ length: 720 }, (_, half) => `MON-SUN ${clockTime(2 * half)}-${clockTime(2 * half + 1)}`);
  const from = Date.UTC(2026, 0, 1);
  const rule = { kind: "cron", timezone: "UTC", calendars: [calendar("blackout", "UTC", ...evenMinutes)] } as const;
  for (const cronExpression of ["0 * * * *", "*/2 * * * *"]) expect(nextOccurrence({ ...rule, cronExpression }, from)).toBeNull();
  expect(nextOccurrence({ ...rule, cronExpression: "*/5 * * * *" }, from)).toBe(from + 5 * 60_000);
});
