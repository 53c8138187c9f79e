import { setImmediate } from "node:timers/promises";
import type { Clock } from "@downbeat/runtime/clock.ts";

/** How long a computation beside the passes may hold the event loop. */
const sliceMs = 10;

/** Answers a function to await between two pieces of a long computation: whenever a slice of time is used up, it lets everything else that is ready go first. */
export function givingWay(clock: Clock): () => Promise<void> {
  let sliceEndMs = clock.monotonic() + sliceMs;
  return async () => {
    if (clock.monotonic() < sliceEndMs) return;
    await setImmediate();
    sliceEndMs = clock.monotonic() + sliceMs;
  };
}
