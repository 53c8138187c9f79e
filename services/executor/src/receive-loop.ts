import type { QueueClient } from "@downbeat/queue/client.ts";
import { type QueueMessage, receiveMessages } from "@downbeat/queue/receive-messages.ts";
import { keepTrying, type Outage, StoppedError } from "@downbeat/runtime/back-off.ts";
import type { Clock } from "@downbeat/runtime/clock.ts";
import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import type { Random } from "@downbeat/runtime/random.ts";

export interface ReceiveLoopOptions {
  queue: QueueClient;
  queueUrl: string;
  visibilitySeconds: number;
  waitSeconds: number;
  clock: Clock;
  random: Random;
  log: Log;
  /** Aborts when nothing more is to be received. A poll that is open then is not broken off: what the server hands to a poll that nobody reads any more is hidden from everybody. */
  signal: AbortSignal;
  /** Aborts when an open poll has to be broken off after all. */
  broken: AbortSignal;
  /** Tells that the loop runs: each try counts, and waiting for room is rest. */
  progress: LoopProgress;
  /** Shared by the loops of a process. */
  outage: Outage;
  /** Resolves when there is room for another receive. */
  room: () => Promise<void>;
  onMessages: (messages: readonly QueueMessage[]) => void;
}

/**
 * ④ Receives for as long as there is room, without waiting for what was received before (rule X10): a slow run holds a slot, never the loop. An outage of the queue is waited out.
 */
export async function receiveLoop(options: ReceiveLoopOptions): Promise<void> {
  const { signal, broken, room, onMessages, progress } = options;
  const receive = () => {
    progress.note();
    return receiveMessages({ ...options, client: options.queue, signal: broken });
  };
  while (!signal.aborted) {
    progress.rest();
    await room();
    progress.note();
    if (signal.aborted) return;
    try {
      onMessages(await keepTrying(receive, { ...options, action: "receive messages" }));
    } catch (error) {
      if (error instanceof StoppedError) return;
      throw error;
    }
  }
}
