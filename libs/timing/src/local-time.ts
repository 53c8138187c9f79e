import type { Instant } from "./rule.ts";
import { wallTimeAt, type WallTime, type Zone } from "./zone.ts";

/** An instant as a zone's clocks show it, with the offset: `2026-03-08T03:00:00-04:00`. Milliseconds only where there are some. */
export function formatLocal(zone: Zone, instant: Instant): string {
  const wall = wallTimeAt(zone, instant);
  const offsetMinutes = Math.round((wall - instant) / 60_000);
  const [hours, minutes] = [Math.floor(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60];
  const offset = `${offsetMinutes < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
  return `${formatWall(wall)}${offset}`;
}

/** A clock face: `2026-03-08T02:30:00`. */
export function formatWall(wall: WallTime): string {
  return new Date(wall).toISOString().replace(/(?:\.000)?Z$/, "");
}
