import { until } from "@downbeat/testkit/until.ts";
import type { ClusterSystem } from "./cluster-system.ts";
import { expectEachCalledOnce } from "./guarantees.ts";
import { Load, type LoadOptions } from "./load.ts";

export interface Scaling {
  /** What it says is the fewest and the most. */
  min: number;
  max: number;
  /** How long the load must be low before pods are taken away. */
  stabilizationSeconds: number;
  /** What makes it want more pods. */
  heavy: Omit<LoadOptions, "purpose">;
}

/** Measuring, deciding, starting a pod and draining one, each with room for a slow machine. */
const reactionMs = 240_000;

/**
 * A heavy load brings three executors; when it is over, all but the fewest go. A light load, with a call or two in flight at any time, goes on meanwhile, so
 * that pods are taken away while they have something to finish. Of neither load anything may be lost or called twice.
 */
export async function expectScalesOutAndBack(system: ClusterSystem, { min, max, stabilizationSeconds, heavy }: Scaling): Promise<void> {
  const wanted = Math.min(3, max);
  await system.pods.settled(min);
  const light = await Load.start(system, { purpose: "light", schedules: 1, everySeconds: 2, delayMs: 3_000 });
  const load = await Load.start(system, { purpose: "heavy", ...heavy });
  await until(`${wanted} executors`, async () => (await system.executors()).length >= wanted, { deadlineMs: reactionMs, everyMs: 1_000 });
  await load.flows(heavy.schedules);
  expectEachCalledOnce(await load.stop());
  await system.pods.settled(min, stabilizationSeconds * 1_000 + reactionMs);
  await light.flows(3);
  expectEachCalledOnce(await light.stop());
}
