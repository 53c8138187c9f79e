import { isDaylightSaving } from "./next-cron-occurrence.ts";
import { parseInstant } from "./parse-instant.ts";
import { quote } from "./quote.ts";
import type { Reading } from "./read-rule-fields.ts";
import type { DstGap, DstOverlap, Instant } from "./rule.ts";
import { showingsOf, zoneOf } from "./zone.ts";

/** How a local time is to be read; policies that were not given are undefined, because only the user can say which of two instants is meant. */
export interface LocalReading {
  timezone: string | undefined;
  dstGap: DstGap | undefined;
  dstOverlap: DstOverlap | undefined;
}

const local = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?$/;

/**
 * Reads the instant of a one-off: RFC 3339 with an offset, or a local time of `timezone`. A local time that clocks never show, or show twice, is refused with the candidates,
 * unless the policy that was given says which is meant.
 */
export function readRunAt(value: unknown, { timezone, dstGap, dstOverlap }: LocalReading): Reading<Instant> {
  const instant = typeof value === "string" ? parseInstant(value) : null;
  if (instant !== null) return { value: instant };
  const [, date, minute, second = ":00"] = (typeof value === "string" ? local.exec(value.trim()) : null) ?? [];
  const wall = date === undefined ? null : parseInstant(`${date}T${minute}${second}Z`);
  if (wall === null) {
    return {
      problem: `is ${quote(value)}; it must be a date and time with an offset, like "2026-03-08T09:00:00-05:00", or a local one like "2026-03-08T09:00:00" with timezone`,
    };
  }
  if (timezone === undefined)
    return { problem: `is ${quote(value)}, a local time; give timezone with it, or an offset like "Z" or "-05:00"` };
  const showing = showingsOf(zoneOf(timezone), wall);
  switch (showing.kind) {
    case "once":
      return { value: showing.at };
    case "twice": {
      if (dstOverlap === "first" || dstOverlap === "last") return { value: dstOverlap === "first" ? showing.first : showing.last };
      const problem =
        dstOverlap === "both"
          ? 'and kind "once" runs once: dst_overlap must be "first" or "last"'
          : 'say which with dst_overlap "first" or "last", or with an offset';
      return {
        problem: `is ${quote(value)}, which the clocks of ${timezone} show twice, at ${show(showing.first)} and ${show(showing.last)}; ${problem}`,
      };
    }
    case "never": {
      const { change } = showing;
      const shifted = wall - change.offsetBeforeMs;
      if (isDaylightSaving(change) && dstGap === "run_at_gap_end") return { value: change.at };
      if (isDaylightSaving(change) && dstGap === "shift") return { value: shifted };
      const problem =
        dstGap === "skip"
          ? 'and dst_gap "skip" would leave nothing to run'
          : 'say which with dst_gap "run_at_gap_end" or "shift", or with an offset';
      return {
        problem: `is ${quote(value)}, which the clocks of ${timezone} never show; the nearest instants are ${show(change.at)} (the end of the gap) and ${show(shifted)} (as much later as the clocks jump); ${problem}`,
      };
    }
  }
}

function show(instant: Instant): string {
  return new Date(instant).toISOString();
}
