import type { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import type { Liveness } from "@downbeat/runtime/operations-server.ts";

/**
 * A loop that has begun neither a pass nor a claim for this long is stuck. A Postgres that refuses, closes or is slow fails a pass within a minute; one behind a network that swallows every packet is given
 * up by the kernel after about a quarter of an hour, and a shorter limit would restart dispatchers because Postgres is away (rule K4).
 */
const silentMsMax = 20 * 60_000;

/** Alive while passes are tried, whatever comes of them, or the process drains. */
export function passingLiveness(passes: LoopProgress, draining: AbortSignal): Liveness {
  if (draining.aborted) return { isAlive: true, reason: "draining" };
  const silentMs = passes.silentMs();
  return silentMs <= silentMsMax
    ? { isAlive: true, reason: "passing" }
    : { isAlive: false, reason: `no pass has been tried for ${Math.round(silentMs / 1_000)} s` };
}
