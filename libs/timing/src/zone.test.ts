import { expect, test } from "vitest";
import { showingsOf, wallTimeAt, zoneOf } from "./zone.ts";

const newYork = zoneOf("America/New_York");
const hourMs = 3_600_000;

test("aliases and spellings share one zone", () => {
  expect(zoneOf("america/new_york")).toBe(newYork);
  expect(zoneOf("US/Eastern")).toBe(newYork);
  expect(zoneOf("Etc/Zulu").isUtc).toBe(true);
  expect(newYork.isUtc).toBe(false);
});

test("clocks show what the zone's offset says, to the millisecond of a change", () => {
  const change = Date.parse("2026-03-08T07:00:00Z");
  expect(wallTimeAt(newYork, change - 1)).toBe(Date.parse("2026-03-08T01:59:59.999Z"));
  expect(wallTimeAt(newYork, change)).toBe(Date.parse("2026-03-08T03:00:00.000Z"));
  expect(wallTimeAt(zoneOf("Asia/Kathmandu"), change)).toBe(change + 5.75 * hourMs);
});

test("an ordinary wall time shows once", () => {
  expect(showingsOf(newYork, Date.parse("2026-06-01T09:00:00Z"))).toEqual({ kind: "once", at: Date.parse("2026-06-01T13:00:00Z") });
  // On the day of a change, on both sides of it.
  expect(showingsOf(newYork, Date.parse("2026-03-08T01:59:59Z"))).toEqual({ kind: "once", at: Date.parse("2026-03-08T06:59:59Z") });
  expect(showingsOf(newYork, Date.parse("2026-03-08T03:00:00Z"))).toEqual({ kind: "once", at: Date.parse("2026-03-08T07:00:00Z") });
});

test("a wall time in a gap never shows", () => {
  const change = { at: Date.parse("2026-03-08T07:00:00Z"), offsetBeforeMs: -5 * hourMs, offsetAfterMs: -4 * hourMs };
  expect(showingsOf(newYork, Date.parse("2026-03-08T02:00:00Z"))).toEqual({ kind: "never", change });
  expect(showingsOf(newYork, Date.parse("2026-03-08T02:59:59Z"))).toEqual({ kind: "never", change });
});

test("a wall time that repeats shows twice", () => {
  const change = { at: Date.parse("2026-11-01T06:00:00Z"), offsetBeforeMs: -4 * hourMs, offsetAfterMs: -5 * hourMs };
  const first = Date.parse("2026-11-01T05:00:00Z");
  expect(showingsOf(newYork, Date.parse("2026-11-01T01:00:00Z"))).toEqual({ kind: "twice", first, last: first + hourMs, change });
  expect(showingsOf(newYork, Date.parse("2026-11-01T00:59:59Z")).kind).toBe("once");
  expect(showingsOf(newYork, Date.parse("2026-11-01T02:00:00Z")).kind).toBe("once");
});

test("a whole day can be missing from a zone", () => {
  const apia = zoneOf("Pacific/Apia");
  expect(showingsOf(apia, Date.parse("2011-12-30T00:00:00Z")).kind).toBe("never");
  expect(showingsOf(apia, Date.parse("2011-12-30T23:59:59Z")).kind).toBe("never");
  expect(showingsOf(apia, Date.parse("2011-12-31T00:00:00Z"))).toEqual({ kind: "once", at: Date.parse("2011-12-30T10:00:00Z") });
});

test("what is remembered of a zone is bounded and forgetting changes no answer", () => {
  const berlin = zoneOf("Europe/Berlin");
  const ask = () => Array.from({ length: 1_500 }, (_, day) => wallTimeAt(berlin, Date.UTC(2026, 0, 1 + day)));
  expect(ask()).toEqual(ask());
  expect(berlin.days.size).toBeLessThanOrEqual(1_000);
});
