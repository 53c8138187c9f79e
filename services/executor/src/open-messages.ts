import type { QueueMessage } from "@downbeat/queue/receive-messages.ts";
import type { RunKey } from "@downbeat/store/run-key.ts";

/** A received message whose runs are not all settled yet. It is deleted, or given back to the queue, when they are. */
export interface OpenMessage {
  readonly message: QueueMessage;
  /** Runs of the message that are not settled. */
  open: number;
  /** Set when some run has to come back with the message: after this many seconds. */
  comeBackSeconds: number | undefined;
  /** True once the message is kept as evidence: one row, however many of its runs are unknown. */
  isRejected?: boolean;
}

/** One run that a received message names. */
export interface ReceivedRun extends RunKey {
  readonly from: OpenMessage;
}

/** How a run leaves this executor: recorded (or nothing to do), or to be offered again after some seconds. */
export type Settlement = { isDone: true } | { isDone: false; againInSeconds: number };

/**
 * ④⑨ The messages this executor holds. A message outlives its runs by nothing and is deleted only after they are recorded (rule X5): deleting first would turn a crash
 * into a lost run, while deleting late only costs a look at the ledger.
 */
export class OpenMessages {
  readonly #held = new Set<OpenMessage>();
  readonly #onSettled: (message: OpenMessage) => void;

  constructor(onSettled: (message: OpenMessage) => void) {
    this.#onSettled = onSettled;
  }

  get all(): readonly OpenMessage[] {
    return [...this.#held];
  }

  open(message: QueueMessage, keys: readonly RunKey[]): ReceivedRun[] {
    const from: OpenMessage = { message, open: keys.length, comeBackSeconds: undefined };
    this.#held.add(from);
    return keys.map(({ tenantId, runId }) => ({ tenantId, runId, from }));
  }

  settle({ from }: ReceivedRun, settlement: Settlement): void {
    if (!settlement.isDone) from.comeBackSeconds = Math.min(from.comeBackSeconds ?? Number.POSITIVE_INFINITY, settlement.againInSeconds);
    from.open -= 1;
    if (from.open > 0) return;
    this.#held.delete(from);
    this.#onSettled(from);
  }
}
