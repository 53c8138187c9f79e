import { encodeWakeUp, type RunRef } from "./wake-up.ts";

/** A run to announce, with the instant at which its message should become visible. */
export interface DueRun extends RunRef {
  /** Whole seconds from now, 0–900: SQS's `DelaySeconds`. */
  delaySeconds: number;
}

export interface WakeUp {
  refs: RunRef[];
  delaySeconds: number;
  /** Fair-queue group: the tenant when the message is one tenant's, else the group of the small ones. */
  groupId: string;
  body: string;
}

/** SQS takes ten messages in one request for the price of one. */
const messagesPerRequest = 10;

/**
 * Packs runs into messages. Runs of one message share their delay. Up to ten runs travel one to a message, which costs nothing (a request takes ten) and lets
 * several executors share them; beyond that messages fill up to `runsPerMessage`. A tenant with enough runs gets messages, and a fair-queue group, of its
 * own; small tenants ride together.
 */
export function packWakeUps(runs: readonly DueRun[], runsPerMessage: number): WakeUp[] {
  const wakeUps: WakeUp[] = [];
  for (const [delaySeconds, sameDelay] of groupBy(runs, (run) => run.delaySeconds)) {
    const size = Math.min(runsPerMessage, Math.max(1, Math.ceil(sameDelay.length / messagesPerRequest)));
    const small: DueRun[] = [];
    for (const [tenantId, own] of groupBy(sameDelay, (run) => run.tenantId)) {
      if (own.length < size) small.push(...own);
      else wakeUps.push(...chunks(own, size).map((refs) => toWakeUp(refs, delaySeconds, tenantId)));
    }
    wakeUps.push(...chunks(small, size).map((refs) => toWakeUp(refs, delaySeconds, "small-tenants")));
  }
  return wakeUps;
}

function toWakeUp(runs: readonly DueRun[], delaySeconds: number, groupId: string): WakeUp {
  const refs = runs.map(({ tenantId, runId }) => ({ tenantId, runId }));
  return { refs, delaySeconds, groupId, body: encodeWakeUp(refs) };
}

function groupBy<Key, Item>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const parts: Item[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}
