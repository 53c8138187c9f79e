import { expect, test } from "vitest";
import { calendarEntryForms, parseCalendarEntry } from "./parse-calendar.ts";

const dayOf = (date: string) => Date.parse(`${date}T00:00:00Z`) / 86_400_000;

test.for([
  ["2026-12-25", { kind: "days", fromDay: dayOf("2026-12-25"), toDay: dayOf("2026-12-25") }],
  ["2026-12-24/2026-12-26", { kind: "days", fromDay: dayOf("2026-12-24"), toDay: dayOf("2026-12-26") }],
  ["2028-02-29", { kind: "days", fromDay: dayOf("2028-02-29"), toDay: dayOf("2028-02-29") }],
  ["12-25", { kind: "yearly", from: 1225, to: 1225 }],
  ["12-24/01-02", { kind: "yearly", from: 1224, to: 102 }],
  ["02-29", { kind: "yearly", from: 229, to: 229 }],
  ["MON-FRI 09:00-17:00", { kind: "weekly", weekdays: [1, 2, 3, 4, 5], fromMinute: 540, toMinute: 1_020 }],
  ["SAT,SUN", { kind: "weekly", weekdays: [0, 6], fromMinute: 0, toMinute: 1_440 }],
  ["FRI-MON", { kind: "weekly", weekdays: [0, 1, 5, 6], fromMinute: 0, toMinute: 1_440 }],
  ["mon,wed-thu,mon 9:30 - 24:00", { kind: "weekly", weekdays: [1, 3, 4], fromMinute: 570, toMinute: 1_440 }],
  ["  SUN  ", { kind: "weekly", weekdays: [0], fromMinute: 0, toMinute: 1_440 }],
  [
    "2026-12-24T18:00:00Z/2026-12-27T06:00:00+01:00",
    { kind: "period", from: Date.parse("2026-12-24T18:00:00Z"), to: Date.parse("2026-12-27T05:00:00Z") },
  ],
] as const)("`%s` is read as it is meant", ([text, value]) => {
  expect(parseCalendarEntry(text)).toEqual({ value });
});

test.for([
  ["2026-02-30", "not a date"],
  ["2026-13-01", "not a date"],
  ["2026-12-26/2026-12-24", "end is before its beginning"],
  ["2026-12-24/12-26", "not a date"],
  ["2026-12-24/", "not a date"],
  ["02-30", "not a day of the year"],
  ["12-24/2026-12-26", "not a day of the year"],
  ["12-24/13-01", "not a day of the year"],
  ["2026-12-24T18:00:00/2026-12-27T06:00:00", "with an offset"],
  ["2026-12-24T18:00:00Z", "not after its beginning"],
  ["2026-12-27T06:00:00Z/2026-12-24T18:00:00Z", "not after its beginning"],
  ["MON 17:00-09:00", "a night as two entries"],
  ["MON 09:00-09:00", "not after its beginning"],
  ["MON 09:00", "an entry looks like"],
  ["MON 09:60-10:00", "an entry looks like"],
  ["MON 09:00-24:01", "an entry looks like"],
  ["MON 25:00-26:00", "an entry looks like"],
  ["MONDAY", "an entry looks like"],
  ["MON-TUE-WED", "an entry looks like"],
  ["MON,,TUE", "an entry looks like"],
  ["1-5 09:00-17:00", "an entry looks like"],
  ["christmas", "an entry looks like"],
  ["", "an entry looks like"],
  ["2026-12-24/2026-12-25/2026-12-26", "an entry looks like"],
  [null, "an entry looks like"],
  [20261225, "an entry looks like"],
  [["MON"], "an entry looks like"],
] as const)("%j is refused, saying what was given and what is wrong", ([given, problem]) => {
  const reading = parseCalendarEntry(given);
  expect(reading).toEqual({ problem: expect.stringContaining(problem) });
  expect("problem" in reading && reading.problem).toContain(
    typeof given === "string" ? `"${given}"` : String(Array.isArray(given) ? "" : given),
  );
});

test("each form that messages and documents show is one that is read", () => {
  const examples = calendarEntryForms.flatMap((form) => form.replace(/ \(.*\)$/, "").split(" or "));
  expect(examples.length).toBeGreaterThan(calendarEntryForms.length);
  for (const example of examples) expect(parseCalendarEntry(example)).toHaveProperty("value");
});
