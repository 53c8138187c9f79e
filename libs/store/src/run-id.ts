import { createHash } from "node:crypto";

/**
 * The id of a run is a function of what it is a run of (rules A1, D1): UUIDv8 = 48 bits of `scheduledForMs` (milliseconds since 1970) and 74
 * bits of SHA-256(schedule id, scheduled_for, trigger id). Every dispatcher computes the same id for the same occurrence, for ever; ids sort
 * by time; the partition of a run follows from its id. `triggerId` is empty for occurrences of the rule and the request's id otherwise, so that
 * a manual run never equals a scheduled slot.
 */
export function runId(scheduleId: string, scheduledForMs: number, triggerId = ""): string {
  if (!Number.isSafeInteger(scheduledForMs) || scheduledForMs < 0 || scheduledForMs >= 2 ** 48) {
    throw new RangeError(`scheduledForMs must be whole milliseconds since 1970, got ${scheduledForMs}`);
  }
  const digest = createHash("sha256").update(`${scheduleId}\n${scheduledForMs}\n${triggerId}`).digest("hex");
  const time = scheduledForMs.toString(16).padStart(12, "0");
  // Version nibble 8, then the variant's two bits 10: the rest of that digit keeps two bits of the digest.
  const variant = (8 + (Number.parseInt(digest.charAt(3), 16) % 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-8${digest.slice(0, 3)}-${variant}${digest.slice(4, 7)}-${digest.slice(7, 19)}`;
}

/** The instant a run's id was made of: its `scheduled_for`, in ms since 1970. */
export function instantOfRunId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
