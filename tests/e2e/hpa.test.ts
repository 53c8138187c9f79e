import { expect, test } from "vitest";
import { openClusterSystem } from "./cluster-system.ts";
import { expectScalesOutAndBack } from "./scales-out-and-back.ts";
import { isOnCluster } from "./system.ts";

interface HorizontalPodAutoscaler {
  spec: { minReplicas: number; maxReplicas: number; behavior?: { scaleDown?: { stabilizationWindowSeconds?: number } } };
}

const stabilizationSecondsDefault = 300;

test.skipIf(!isOnCluster)(
  "with an HPA load on the CPU brings executors, and none that goes again loses a run in flight",
  { timeout: 1_200_000 },
  async ({ skip }) => {
    const system = await openClusterSystem();
    try {
      // KEDA makes one of another name.
      const found = await system.kubectl.get<HorizontalPodAutoscaler>(["hpa", "schedule-executor"]).catch(() => null);
      if (found === null) return skip("no HorizontalPodAutoscaler here: needs executor.hpa.enabled");
      const measured = await system.kubectl.run(["get", "--raw", "/apis/metrics.k8s.io/v1beta1"]).catch(() => null);
      if (measured === null) return skip("nobody measures CPU here: needs metrics-server");
      const { minReplicas: min, maxReplicas: max, behavior } = found.spec;
      expect(max).toBeGreaterThan(min);
      const stabilizationSeconds = behavior?.scaleDown?.stabilizationWindowSeconds ?? stabilizationSecondsDefault;
      await expectScalesOutAndBack(system, { min, max, stabilizationSeconds, heavy: { schedules: 200, delayMs: 100 } });
    } finally {
      await system.close();
    }
  },
);
