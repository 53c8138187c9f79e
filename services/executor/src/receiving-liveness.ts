import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import type { Liveness } from "@downbeat/runtime/operations-server.ts";

/**
 * A receive loop that was not heard of for this long is stuck. The longest it is silent when all is well, or when the queue swallows every packet, is about 85 s: two requests of the SDK that
 * are given up after 30 s each, their connects, and a back-off of 18 s.
 */
const silentMsMax = 120_000;

/** Alive while every receive loop goes on, or the process drains and they have ended. Neither the queue nor Postgres is asked (rule K4). */
export function receivingLiveness(loops: readonly LoopProgress[], draining: AbortSignal): Liveness {
  if (draining.aborted) return { isAlive: true, reason: "draining" };
  const silentMs = Math.max(...loops.map((loop) => loop.silentMs()));
  return silentMs <= silentMsMax
    ? { isAlive: true, reason: "receiving" }
    : { isAlive: false, reason: `a receive loop has been silent for ${Math.round(silentMs / 1_000)} s` };
}
