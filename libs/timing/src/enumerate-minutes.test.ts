import * as fc from "fast-check";
import { expect, test } from "vitest";
import { occurrencesIn } from "./arbitrary-rules.test-support.ts";
import type { Instant } from "./rule.ts";

/**
 * An independent answer to "when is this due": asks `Intl` what the clocks show in every single minute and compares the fields. It shares no code with the
 * library or with croner, and reads only fields of the forms `*`, `n` and `*` with a step. It knows nothing of what slots do at clock changes, so
 * patterns that leave out an hour are compared in windows without one.
 */
function enumerateMinutes(fields: readonly Field[], timezone: string, from: Instant, to: Instant): Instant[] {
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    hourCycle: "h23",
    weekday: "short",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const due: Instant[] = [];
  for (let at = from; at < to; at += 60_000) {
    const shown = /^(\w+), (\d+)\/(\d+), (\d+):(\d+)$/.exec(clock.format(at));
    if (shown === null) throw new Error(`unexpected format: ${clock.format(at)}`);
    const [, weekday = "", month, day, hour, minute] = shown;
    const values = [Number(minute), Number(hour), Number(day), Number(month), weekdays.indexOf(weekday)];
    if (
      fields.every(
        ({ value, step, first }, index) => value === values[index] || (value === null && (Number(values[index]) - first) % step === 0),
      )
    )
      due.push(at);
  }
  return due;
}

interface Field {
  text: string;
  /** The one value that matches, or null when `step` decides. */
  value: number | null;
  step: number;
  /** Where steps count from. */
  first: number;
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

function anyOf(first: number): fc.Arbitrary<Field> {
  return fc.constant({ text: "*", value: null, step: 1, first });
}

function oneOf(first: number, last: number): fc.Arbitrary<Field> {
  return fc.integer({ min: first, max: last }).map((value) => ({ text: String(value), value, step: 1, first }));
}

function everyOf(first: number, last: number): fc.Arbitrary<Field> {
  return fc.integer({ min: 1, max: last - first }).map((step) => ({ text: `*/${step}`, value: null, step, first }));
}

const minute = fc.oneof(anyOf(0), oneOf(0, 59), everyOf(0, 59));
const hour = fc.oneof(anyOf(0), oneOf(0, 23), everyOf(0, 23));
const month = fc.oneof({ weight: 4, arbitrary: anyOf(1) }, { weight: 1, arbitrary: everyOf(1, 12) });
// Restricted by one of the two at most: together they are alternatives, which the enumerator does not know.
const days = fc.oneof(
  fc.tuple(anyOf(1), anyOf(0)),
  fc.tuple(fc.oneof(oneOf(1, 31), everyOf(1, 31)), anyOf(0)),
  fc.tuple(anyOf(1), fc.oneof(oneOf(0, 6), everyOf(0, 6))),
);

const expression = fc
  .tuple(minute, hour, days, month)
  .map(([m, h, [dayOfMonth, dayOfWeek], mon]): Field[] => [m, h, dayOfMonth, mon, dayOfWeek]);

/** Ten zones drawn from all that `Intl` knows; fast-check prints them and its seed when a comparison fails. */
const tenZones = fc.uniqueArray(fc.constantFrom(...Intl.supportedValuesOf("timeZone")), { minLength: 10, maxLength: 10 });
const windowMs = 86_400_000;
const windowStart = fc
  .integer({ min: Date.UTC(2020, 0, 1) / 60_000, max: Date.UTC(2036, 0, 1) / 60_000 })
  .map((minutes) => minutes * 60_000);

function hasClockChange(timezone: string, from: Instant, to: Instant): boolean {
  const offset = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset", year: "numeric" });
  const nameOf = (at: Instant) => offset.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value;
  return nameOf(from) !== nameOf(to);
}

test("between clock changes, occurrences are exactly the minutes whose wall time matches", () => {
  fc.assert(
    fc.property(tenZones, windowStart, expression, (zones, from, fields) => {
      const cronExpression = fields.map(({ text }) => text).join(" ");
      for (const timezone of zones.filter((zone) => !hasClockChange(zone, from, from + windowMs))) {
        const occurrences = occurrencesIn({ kind: "cron", cronExpression, timezone }, from, from + windowMs);
        expect(occurrences, `${cronExpression} in ${timezone}`).toEqual(enumerateMinutes(fields, timezone, from, from + windowMs));
      }
    }),
    { numRuns: 8 },
  );
});

test("through clock changes, a pattern of every hour still is exactly the minutes whose wall time matches", () => {
  const everyHour = fc
    .tuple(minute, anyOf(0), days, month)
    .map(([m, h, [dayOfMonth, dayOfWeek], mon]): Field[] => [m, h, dayOfMonth, mon, dayOfWeek]);
  const changes = fc.constantFrom(
    ...([
      ["America/New_York", "2026-03-08T07:00:00Z"],
      ["America/New_York", "2026-11-01T06:00:00Z"],
      ["Australia/Lord_Howe", "2026-04-04T15:00:00Z"],
      ["Australia/Lord_Howe", "2026-10-03T15:30:00Z"],
      ["Antarctica/Troll", "2026-03-29T01:00:00Z"],
      ["Antarctica/Troll", "2026-10-25T01:00:00Z"],
      ["Africa/Cairo", "2026-10-29T21:00:00Z"],
      ["Pacific/Apia", "2011-12-30T10:00:00Z"],
    ] as const),
  );
  fc.assert(
    fc.property(changes, everyHour, ([timezone, change], fields) => {
      const cronExpression = fields.map(({ text }) => text).join(" ");
      const from = Date.parse(change) - windowMs / 2;
      const occurrences = occurrencesIn({ kind: "cron", cronExpression, timezone }, from, from + windowMs);
      expect(occurrences, `${cronExpression} in ${timezone}`).toEqual(enumerateMinutes(fields, timezone, from, from + windowMs));
    }),
    { numRuns: 25 },
  );
});
