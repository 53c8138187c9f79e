import { CronPattern } from "croner";

/** The words `L-1` to `L-30` of the day-of-month field: so many days before the last one. */
export const beforeLast = /^L-([1-9]|[12]\d|30)$/i;

/** One field of a cron expression, for messages: what it may hold, and how its values are called. */
export interface CronField {
  name: string;
  allowed: string;
  least: number;
  most: number;
  /** The names of the values from `least` on, in full; an expression has their first three letters. */
  names: readonly string[];
  /** How many seconds one step takes, where it always takes as many. */
  stepSeconds?: number;
}

const unnamed: readonly string[] = [];

const second: CronField = { name: "second", allowed: "0–59", least: 0, most: 59, names: unnamed, stepSeconds: 1 };
const minute: CronField = { name: "minute", allowed: "0–59", least: 0, most: 59, names: unnamed, stepSeconds: 60 };
const hour: CronField = { name: "hour", allowed: "0–23", least: 0, most: 23, names: unnamed, stepSeconds: 3_600 };
const dayOfMonth: CronField = {
  name: "day of month",
  allowed: "1–31, L (last day), L-3 (three days before the last), LW (last weekday), 15W (weekday nearest to the 15th)",
  least: 1,
  most: 31,
  names: unnamed,
  stepSeconds: 86_400,
};
const month: CronField = {
  name: "month",
  allowed: "1–12 or JAN–DEC",
  least: 1,
  most: 12,
  names: ["JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"],
};
const dayOfWeek: CronField = {
  name: "day of week",
  allowed: "0–7 or SUN–SAT (0 and 7 are Sunday), MON#2 (second Monday), FRIL (last Friday)",
  least: 0,
  most: 6,
  names: ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"],
};
const year: CronField = { name: "year", allowed: "1–9999", least: 1, most: 9_999, names: unnamed };

const fiveFields = [minute, hour, dayOfMonth, month, dayOfWeek];
const sixFields = [second, ...fiveFields];
const sevenFields = [...sixFields, year];

/** The fields that have names for their values. */
export const namedFields: readonly CronField[] = [month, dayOfWeek];

/** The fields of an expression that has `count` of them, or undefined where no expression has so many. */
export function fieldsOf(count: number): readonly CronField[] | undefined {
  return [fiveFields, sixFields, sevenFields].find((fields) => fields.length === count);
}

/** Whether `parts` make a cron expression. Nothing is kept, unlike by `compileCronPattern`: most of what is asked here is wrong. */
export function isAccepted(parts: readonly string[]): boolean {
  const days = parts.length === 5 ? 2 : 3;
  try {
    // croner does not know L-3, which `compileCronPattern` turns into a number for each length of month.
    const known = parts.map((part, index) =>
      index === days
        ? part
            .split(",")
            .map((day) => (beforeLast.test(day) ? "1" : day))
            .join(",")
        : part,
    );
    return new CronPattern(known.join(" ")) instanceof CronPattern;
  } catch {
    return false;
  }
}

/** Whether `field`, the other fields being free, may hold `part`. */
export function isAcceptedIn(field: CronField, part: string): boolean {
  return part !== "" && isAccepted(sevenFields.map((other) => (other === field ? part : "*")));
}
