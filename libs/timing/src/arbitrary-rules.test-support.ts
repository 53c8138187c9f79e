import * as fc from "fast-check";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";

/** Zones with every sort of clock change: by 30 minutes, by 2 hours, at midnight, for Ramadan, with odd offsets, and none at all. */
export const zoneNames = [
  "UTC",
  "America/New_York",
  "America/Havana",
  "America/St_Johns",
  "America/Santiago",
  "Europe/Berlin",
  "Africa/Casablanca",
  "Africa/Cairo",
  "Antarctica/Troll",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
];

/** Instants whose clock changes are interesting: 2026, in whole seconds, weighted towards the hours around a change. */
export const arbitraryInstant: fc.Arbitrary<Instant> = fc
  .oneof(
    fc.integer({ min: Date.UTC(2026, 0, 1) / 1_000, max: Date.UTC(2027, 0, 1) / 1_000 }),
    fc
      .record({
        change: fc.constantFrom(
          "2026-03-08T07:00:00Z", // New York forward
          "2026-11-01T06:00:00Z", // New York back
          "2026-03-29T01:00:00Z", // Berlin and Troll forward
          "2026-10-25T01:00:00Z", // Berlin and Troll back
          "2026-04-04T15:00:00Z", // Lord Howe back
          "2026-10-03T15:30:00Z", // Lord Howe forward
          "2026-04-23T22:00:00Z", // Cairo forward, at midnight
          "2026-10-29T21:00:00Z", // Cairo back, at midnight
        ),
        seconds: fc.integer({ min: -10_800, max: 10_800 }),
      })
      .map(({ change, seconds }) => Date.parse(change) / 1_000 + seconds),
  )
  .map((seconds) => seconds * 1_000);

function arbitraryField(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max });
  return fc.oneof(
    fc.constant("*"),
    value.map(String),
    fc.integer({ min: 1, max: max - min }).map((step) => `*/${step}`),
    fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.uniqueArray(value, { minLength: 2, maxLength: 4 }).map((values) => values.join(",")),
  );
}

const arbitraryCronExpression = fc
  .tuple(
    arbitraryField(0, 59),
    arbitraryField(0, 23),
    fc.constantFrom("*", "*/2", "15"),
    fc.constantFrom("*", "*/3"),
    fc.constantFrom("*", "1-5", "0"),
  )
  .map((fields) => fields.join(" "));

const arbitraryBounds = fc.record(
  { startsAt: arbitraryInstant, endsAt: arbitraryInstant.map((at) => at + 90 * 86_400_000) },
  { requiredKeys: [] },
);

export const arbitraryRule: fc.Arbitrary<Rule> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("cron" as const),
        cronExpression: arbitraryCronExpression,
        timezone: fc.constantFrom(...zoneNames),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("interval" as const),
        intervalSeconds: fc.integer({ min: 1, max: 100_000 }),
        anchorAt: arbitraryInstant,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("once" as const), runAt: arbitraryInstant }) },
  )
  .chain((rule) => arbitraryBounds.map((bounds) => ({ ...rule, ...bounds })));

/** The occurrences of `rule` in `[from, to)`, at most `countMax` of them. */
export function occurrencesIn(rule: Rule, from: Instant, to: Instant, countMax = Infinity): Instant[] {
  const occurrences: Instant[] = [];
  let at = nextOccurrence(rule, from - 1);
  while (at !== null && at < to && occurrences.length < countMax) {
    occurrences.push(at);
    at = nextOccurrence(rule, at);
  }
  return occurrences;
}
