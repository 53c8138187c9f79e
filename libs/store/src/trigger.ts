/**
 * What made a run, from its trigger id: empty for an occurrence of the rule; `backfill <id>` for one of a backfill, which no request can name because idempotency keys hold no
 * space; anything else is the id of the request that asked for it.
 */
export type Trigger = "schedule" | "backfill" | "manual";

export const backfillTrigger = "backfill ";

export function triggerOf(triggerId: string): Trigger {
  if (triggerId === "") return "schedule";
  return triggerId.startsWith(backfillTrigger) ? "backfill" : "manual";
}
