import { expect, test } from "vitest";
import { openClusterSystem } from "./cluster-system.ts";
import { expectScalesOutAndBack } from "./scales-out-and-back.ts";
import { isOnCluster } from "./system.ts";

interface ScaledObject {
  spec: {
    minReplicaCount: number;
    maxReplicaCount: number;
    advanced?: { horizontalPodAutoscalerConfig?: { behavior?: { scaleDown?: { stabilizationWindowSeconds?: number } } } };
  };
}

// Kubernetes waits five minutes of low load before it takes pods away, where the values do not say less.
const stabilizationSecondsDefault = 300;

test.skipIf(!isOnCluster)(
  "with KEDA a backlog in the queue brings executors, and none that goes again loses a run in flight",
  { timeout: 1_200_000 },
  async ({ skip }) => {
    const system = await openClusterSystem();
    try {
      const found = await system.kubectl.get<ScaledObject>(["scaledobjects.keda.sh", "schedule-executor"]).catch(() => null);
      if (found === null) return skip("no ScaledObject here: needs KEDA, and executor.keda.enabled");
      const { minReplicaCount: min, maxReplicaCount: max, advanced } = found.spec;
      expect(max).toBeGreaterThan(min);
      const { scaleDown } = advanced?.horizontalPodAutoscalerConfig?.behavior ?? {};
      const stabilizationSeconds = scaleDown?.stabilizationWindowSeconds ?? stabilizationSecondsDefault;
      // Each run is a message of its own, and received ones count until their call is over: 60 at a time.
      await expectScalesOutAndBack(system, { min, max, stabilizationSeconds, heavy: { schedules: 20, delayMs: 3_000 } });
    } finally {
      await system.close();
    }
  },
);
