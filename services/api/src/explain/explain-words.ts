import type { Instant } from "@downbeat/timing/rule.ts";

/** An instant in a sentence: RFC 3339 in UTC, milliseconds only where there are some. */
export function isoText(instant: Instant): string {
  return new Date(instant).toISOString().replace(".000Z", "Z");
}

/** A length of time in a sentence: `14 ms`, `1.2 s`, `3 min 20 s`, `26 h 5 min`, `3 d 4 h`. Never negative. */
export function lengthText(lengthMs: number): string {
  const ms = Math.max(0, Math.round(lengthMs));
  if (ms < 1_000) return `${ms} ms`;
  // Up to where it would be rounded to a minute.
  if (ms < 59_950) return `${Number((ms / 1_000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1_000);
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600), Math.floor(seconds / 60)];
  if (minutes < 60) return twoUnits([minutes, "min"], [seconds % 60, "s"]);
  if (days < 2) return twoUnits([hours, "h"], [minutes % 60, "min"]);
  return twoUnits([days, "d"], [hours % 24, "h"]);
}

function twoUnits([large, largeUnit]: [number, string], [small, smallUnit]: [number, string]): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `1 occurrence`, `12 occurrences`. */
export function countText(count: number, thing: string): string {
  return `${count.toLocaleString("en-US")} ${thing}${count === 1 ? "" : "s"}`;
}

/** How far `instant` is from `reference`: `14 ms after`, `2 h before`, `exactly at`. Read with what it is compared to behind it. */
export function distanceText(instant: Instant, reference: Instant): string {
  if (instant === reference) return "exactly at";
  return instant > reference ? `${lengthText(instant - reference)} after` : `${lengthText(reference - instant)} before`;
}

const valueLengthMax = 80;

/** A value of the journal in a sentence, cut where it is long. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "none";
  const text = JSON.stringify(value);
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax - 1)}…` : text;
}
