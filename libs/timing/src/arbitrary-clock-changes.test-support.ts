/** Rules and instants around every clock change of the next ten years, in every zone that has any. */
import * as fc from "fast-check";
import { labelAt } from "./enumerate-minutes.test-support.ts";
import { dstGaps, dstOverlaps, type CronRule, type Instant } from "./rule.ts";

const dayMs = 86_400_000;
const yearsFrom = Date.UTC(2026, 10, 1);
const yearsTo = Date.UTC(2036, 10, 1);

/** Zones whose clocks have been in step for all of the ten years. */
interface ZoneGroup {
  zones: string[];
  changes: Instant[];
}

/**
 * Asks `Intl` for each zone's offset once a week and narrows down where it differs. Two changes within a week that undo each other would be missed; no zone has
 * ever had them.
 */
function findZoneGroups(): ZoneGroup[] {
  const groups = new Map<string, ZoneGroup>();
  for (const zone of Intl.supportedValuesOf("timeZone")) {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    const offsetAt = (at: Instant) => format.format(at).replace(/^.*, /, "");
    const changes: Instant[] = [];
    const offsets = [offsetAt(yearsFrom)];
    for (let at = yearsFrom; at < yearsTo; at += 7 * dayMs) {
      let [before, after] = [at, at + 7 * dayMs];
      const offset = offsetAt(after);
      if (offset === offsets.at(-1)) continue;
      while (after - before > 1_000) {
        const middle = before + Math.floor((after - before) / 2_000) * 1_000;
        if (offsetAt(middle) === offset) after = middle;
        else before = middle;
      }
      changes.push(after);
      offsets.push(offset);
    }
    const key = JSON.stringify([changes, offsets]);
    const group = groups.get(key) ?? { zones: [], changes };
    group.zones.push(zone);
    groups.set(key, group);
  }
  return [...groups.values()];
}

const zoneGroups = findZoneGroups();
const changingGroups = zoneGroups.filter(({ changes }) => changes.length > 0);
const steadyGroups = zoneGroups.filter(({ changes }) => changes.length === 0);

/** One zone of each sort of clock changes. */
export const changingZones = changingGroups.map(({ zones }) => zones[0] as string);

/** A zone, and an instant that is interesting in it. */
interface Place {
  zone: string;
  /** A zone that shows the same all through the ten years, one for many zones, so that what the enumerator reads of it can be shared. */
  twin: string;
  at: Instant;
}

function placesOf(groups: readonly ZoneGroup[], instantOf: (group: ZoneGroup) => readonly Instant[]): fc.Arbitrary<Place> {
  return fc.tuple(fc.nat(9_999), fc.nat(9_999), fc.nat(9_999)).map(([group, zone, instant]) => {
    const chosen = groups[group % groups.length] as ZoneGroup;
    const instants = instantOf(chosen);
    return {
      zone: chosen.zones[zone % chosen.zones.length] as string,
      twin: chosen.zones[0] as string,
      at: instants[instant % instants.length] as Instant,
    };
  });
}

const years = Array.from({ length: 10 }, (_, index) => 2027 + index);
const yearEnds = years.map((year) => Date.UTC(year, 0, 1));
const leapDays = years.filter((year) => year % 4 === 0).map((year) => Date.UTC(year, 1, 29));
const anyDays = Array.from({ length: 97 }, (_, index) => yearsFrom + index * 37 * dayMs);

const clockChange = placesOf(changingGroups, ({ changes }) => changes);
const calendarEdge = placesOf(zoneGroups, () => [...yearEnds, ...leapDays]);
const ordinaryDay = placesOf([...steadyGroups, ...changingGroups], () => anyDays);

export const placeNearClockChange = fc.oneof({ weight: 9, arbitrary: clockChange }, { weight: 1, arbitrary: ordinaryDay });
export const placeNearClockStep = fc.oneof({ weight: 1, arbitrary: clockChange }, { weight: 1, arbitrary: calendarEdge });

// ---- Patterns: a value is drawn either near what the clocks show at the place, or from all. ----

/** What clocks show at a place, field by field. */
interface Shown {
  second: number;
  minute: number;
  hour: number;
  day: number;
  month: number;
  weekday: number;
  year: number;
  lastDay: number;
}

/** Just before the place, so that values near it lie on both sides of a clock change. */
function shownBefore({ twin, at }: Place): Shown {
  const date = new Date(labelAt(twin, at - 60_000) * 60_000);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
  return {
    second: 0,
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    month,
    weekday: date.getUTCDay(),
    year,
    lastDay: new Date(Date.UTC(year, month, 0)).getUTCDate(),
  };
}

type Written = (shown: Shown) => string;

function modulo(value: number, count: number): number {
  return ((value % count) + count) % count;
}

interface Range {
  field: keyof Shown;
  min: number;
  max: number;
}

function valueIn({ field, min, max }: Range): fc.Arbitrary<(shown: Shown) => number> {
  const count = max - min + 1;
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.integer({ min: -2, max: 2 }).map((delta) => (shown: Shown) => min + modulo(shown[field] + delta - min, count)),
    },
    { weight: 2, arbitrary: fc.integer({ min, max }).map((value) => () => value) },
  );
}

function formsOf(range: Range, nameOf: (value: number) => string = String) {
  const value = valueIn(range);
  const step = fc.integer({ min: 1, max: range.max - range.min });
  const span = fc.tuple(value, value).map(([a, b]) => (shown: Shown): [number, number] => [
    Math.min(a(shown), b(shown)),
    Math.max(a(shown), b(shown)),
  ]);
  return {
    any: fc.constantFrom("*", "?").map(
      (text): Written =>
        () =>
          text,
    ),
    value: value.map(
      (a): Written =>
        (shown) =>
          nameOf(a(shown)),
    ),
    list: fc.array(value, { minLength: 2, maxLength: 4 }).map(
      (values): Written =>
        (shown) =>
          [...new Set(values.map((a) => nameOf(a(shown))))].join(","),
    ),
    range: span.map(
      (ends): Written =>
        (shown) =>
          ends(shown).map(nameOf).join("-"),
    ),
    step: step.map(
      (by): Written =>
        () =>
          `*/${by}`,
    ),
    rangeStep: fc.tuple(span, step).map(
      ([ends, by]): Written =>
        (shown) =>
          `${ends(shown).join("-")}/${by}`,
    ),
    mixed: fc.tuple(value, span, step).map(
      ([a, ends, by]): Written =>
        (shown) =>
          `${nameOf(a(shown))},${ends(shown).join("-")}/${by},${ends(shown).join("-")}`,
    ),
  };
}

const namesOfMonths = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const namesOfWeekdays = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT", "SUN"];

const secondNumbers = formsOf({ field: "second", min: 0, max: 59 });
const minuteNumbers = formsOf({ field: "minute", min: 0, max: 59 });
const hourNumbers = formsOf({ field: "hour", min: 0, max: 23 });
const dayNumbers = formsOf({ field: "day", min: 1, max: 31 });
const monthNumbers = formsOf({ field: "month", min: 1, max: 12 });
const monthNames = formsOf({ field: "month", min: 1, max: 12 }, (month) => namesOfMonths[month - 1] as string);
const weekdayNumbers = formsOf({ field: "weekday", min: 0, max: 6 });
const weekdayNames = formsOf({ field: "weekday", min: 0, max: 7 }, (weekday) => namesOfWeekdays[weekday] as string);
const yearNumbers = formsOf({ field: "year", min: 2026, max: 2038 });

const secondField = fc.oneof(
  secondNumbers.value,
  secondNumbers.value,
  secondNumbers.list,
  secondNumbers.range,
  secondNumbers.step,
  secondNumbers.rangeStep,
  secondNumbers.mixed,
);
const minuteField = fc.oneof(
  minuteNumbers.any,
  minuteNumbers.value,
  minuteNumbers.value,
  minuteNumbers.value,
  minuteNumbers.list,
  minuteNumbers.list,
  minuteNumbers.range,
  minuteNumbers.step,
  minuteNumbers.step,
  minuteNumbers.rangeStep,
  minuteNumbers.mixed,
);
const hourField = fc.oneof(
  hourNumbers.any,
  fc.constantFrom("0-23", "*/1", "0-11,12-23").map(
    (text): Written =>
      () =>
        text,
  ),
  hourNumbers.value,
  hourNumbers.value,
  hourNumbers.list,
  hourNumbers.list,
  hourNumbers.range,
  hourNumbers.step,
  hourNumbers.step,
  hourNumbers.rangeStep,
  hourNumbers.mixed,
);

const lastDayForm = fc.constantFrom("L", "l").map(
  (text): Written =>
    () =>
      text,
);
const beforeLastForm = fc.oneof(
  fc.integer({ min: -1, max: 1 }).map(
    (delta): Written =>
      (shown) =>
        `L-${Math.min(30, Math.max(1, shown.lastDay - shown.day + delta))}`,
  ),
  fc.integer({ min: 1, max: 30 }).map(
    (before): Written =>
      () =>
        `L-${before}`,
  ),
);
const workdayForm = fc.oneof(
  {
    weight: 2,
    arbitrary: dayNumbers.value.map(
      (day): Written =>
        (shown) =>
          `${day(shown)}W`,
    ),
  },
  { weight: 1, arbitrary: fc.constant<Written>(() => "LW") },
);
const dayListForm = fc
  .tuple(
    beforeLastForm,
    dayNumbers.value.map(
      (day): Written =>
        (shown) =>
          `${day(shown)}W`,
    ),
    dayNumbers.value,
    fc.constantFrom<Written>(
      () => "L",
      (shown) => String(shown.day),
    ),
  )
  .map(
    (items): Written =>
      (shown) =>
        items.map((item) => item(shown)).join(","),
  );
const plainDayForm = fc.oneof(dayNumbers.value, dayNumbers.list, dayNumbers.range, dayNumbers.step, dayNumbers.rangeStep, dayNumbers.mixed);
const dayField = fc.oneof(
  { weight: 14, arbitrary: dayNumbers.any },
  { weight: 4, arbitrary: plainDayForm },
  { weight: 3, arbitrary: fc.oneof(lastDayForm, beforeLastForm, workdayForm, dayListForm) },
);

const monthField = fc.oneof(
  { weight: 10, arbitrary: monthNumbers.any },
  {
    weight: 2,
    arbitrary: fc.oneof(
      monthNumbers.value,
      monthNumbers.list,
      monthNumbers.step,
      monthNumbers.rangeStep,
      monthNames.value,
      monthNames.list,
      monthNames.range,
      monthNumbers.mixed,
    ),
  },
);

const occurrenceInMonth = fc.oneof(
  fc.constant<Written>((shown) => String(Math.ceil(shown.day / 7))),
  fc.constantFrom("1", "2", "3", "4", "5", "L").map(
    (text): Written =>
      () =>
        text,
  ),
);
const countedWeekdayForm = fc.tuple(fc.oneof(weekdayNumbers.value, weekdayNames.value, weekdayNumbers.range), occurrenceInMonth).map(
  ([weekday, occurrence]): Written =>
    (shown) =>
      `${weekday(shown)}#${occurrence(shown)}`,
);
const lastWeekdayForm = fc.oneof(weekdayNumbers.value, weekdayNames.value).map(
  (weekday): Written =>
    (shown) =>
      `${weekday(shown)}L`,
);
const weekdayListForm = fc.tuple(countedWeekdayForm, weekdayNames.value, lastWeekdayForm).map(
  (items): Written =>
    (shown) =>
      items.map((item) => item(shown)).join(","),
);
const sundayForm = fc.constantFrom("1,7", "0-7", "5-7", "1-7/2", "FRI-SUN", "MON-FRI", "tue-sat").map(
  (text): Written =>
    () =>
      text,
);
const plainWeekdayForm = fc.oneof(
  weekdayNumbers.value,
  weekdayNumbers.list,
  weekdayNumbers.range,
  weekdayNumbers.step,
  weekdayNumbers.rangeStep,
  weekdayNames.value,
  weekdayNames.list,
  sundayForm,
);
const weekdayField = fc.oneof(
  { weight: 14, arbitrary: weekdayNumbers.any },
  { weight: 4, arbitrary: plainWeekdayForm },
  { weight: 3, arbitrary: fc.oneof(countedWeekdayForm, lastWeekdayForm, weekdayListForm) },
);

/**
 * Both day fields, as alternatives or, with a plus, together. Not every pair goes together: the second-last day is never the first Monday, and nearest workdays are
 * never Sundays. Rules that never fire are refused at their creation, and it takes a search of 400 years to know that they do not.
 */
const dayFields: fc.Arbitrary<[Written, Written]> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(dayField, weekdayField) },
  { weight: 1, arbitrary: fc.tuple(fc.oneof(plainDayForm, lastDayForm, beforeLastForm), plus(plainWeekdayForm)) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.oneof(workdayForm, dayListForm),
      plus(
        fc.oneof(
          sundayForm,
          fc.constant<Written>(() => "1-5"),
        ),
      ),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(dayNumbers.any, plus(weekdayField)) },
);

function plus(weekday: fc.Arbitrary<Written>): fc.Arbitrary<Written> {
  return weekday.map(
    (written): Written =>
      (shown) =>
        `+${written(shown)}`,
  );
}

const yearField = fc.oneof(yearNumbers.any, yearNumbers.value, yearNumbers.range, yearNumbers.list);

const fiveFields = fc
  .tuple(minuteField, hourField, dayFields, monthField)
  .map(([minute, hour, [day, weekday], month]): Written[] => [minute, hour, day, month, weekday]);
const sixFields = fc.tuple(secondField, fiveFields).map(([second, fields]): Written[] => [second, ...fields]);
const sevenFields = fc.tuple(sixFields, yearField).map(([fields, year]): Written[] => [...fields, year]);
const nickname = fc.constantFrom("@hourly", "@daily", "@weekly").map((text): Written[] => [() => text]);

const pattern = fc.oneof(
  { weight: 30, arbitrary: fiveFields },
  { weight: 8, arbitrary: sixFields },
  { weight: 2, arbitrary: sevenFields },
  { weight: 1, arbitrary: nickname },
);

/** A rule with a place at which its clocks are interesting. */
export interface PlacedRule {
  rule: CronRule;
  /** The same rule in the twin zone, for the enumerator. */
  twin: CronRule;
  at: Instant;
}

export function placedRule(place: fc.Arbitrary<Place>): fc.Arbitrary<PlacedRule> {
  return fc
    .record({
      place,
      pattern,
      dstGap: fc.constantFrom(undefined, ...dstGaps),
      dstOverlap: fc.constantFrom(undefined, ...dstOverlaps),
    })
    .map(({ place: arbitraryPlace, pattern: fields, dstGap, dstOverlap }) => {
      const { zone, twin, at } = arbitraryPlace;
      const shown = shownBefore(arbitraryPlace);
      const rule: CronRule = {
        kind: "cron",
        cronExpression: fields.map((field) => field(shown)).join(" "),
        timezone: zone,
        ...(dstGap === undefined ? {} : { dstGap }),
        ...(dstOverlap === undefined ? {} : { dstOverlap }),
      };
      return { rule, twin: { ...rule, timezone: twin }, at };
    });
}

/** Milliseconds to go from a place: mostly a few hours, where a clock change is felt, now and then days, often not on a whole second. */
export const nearbyMs = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -5 * 3_600, max: 3 * 3_600 }) },
      { weight: 2, arbitrary: fc.integer({ min: -60 * 3_600, max: 20 * 3_600 }) },
    ),
    fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -999, max: 999 }) }),
  )
  .map(([seconds, milliseconds]) => seconds * 1_000 + milliseconds);

/** How long to look: mostly for hours, sometimes for weeks. */
export const windowMs = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 9 * 3_600_000 }) },
  { weight: 4, arbitrary: fc.nat(3 * dayMs) },
  { weight: 1, arbitrary: fc.nat(7 * dayMs) },
);
