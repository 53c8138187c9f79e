import { deadlineMs as usualDeadlineMs } from "./deadline.ts";

export interface UntilOptions {
  deadlineMs?: number;
  /** Time between two looks. */
  everyMs?: number;
}

/**
 * Looks again and again until `condition` answers something true, and answers that. For what gives no signal of its own: a row in a ledger, the depth of a queue. It waits
 * for the event and never for a length of time, so a slow machine makes a test slower and not wrong. Throws after the deadline, naming `what` it waited for.
 */
export async function until<Value>(
  what: string,
  condition: () => Value | Promise<Value>,
  { deadlineMs = usualDeadlineMs, everyMs = 25 }: UntilOptions = {},
): Promise<NonNullable<Value>> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
