import { expect, test } from "vitest";
import { onAws, render } from "./render-chart.ts";

const keda = { ...onAws, executor: { keda: { enabled: true } } };
const hpa = { ...onAws, executor: { hpa: { enabled: true } }, api: { hpa: { enabled: true } } };

test("X12: KEDA counts messages in flight and not delayed ones, keeps two pods, and waits 300 s before it takes one away", async () => {
  const { spec } = (await render(keda)).one("ScaledObject", "schedule-executor");
  expect(spec.scaleTargetRef).toEqual({ name: "schedule-executor" });
  expect(spec.minReplicaCount).toBeGreaterThanOrEqual(2);
  expect(spec.maxReplicaCount).toBeGreaterThan(spec.minReplicaCount);
  expect(spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds).toBe(300);
  expect(spec.triggers).toHaveLength(1);
  expect(spec.triggers[0]).toMatchObject({
    type: "aws-sqs-queue",
    metadata: { queueURL: onAws.queue.url, awsRegion: "eu-west-1", scaleOnInFlight: "true", scaleOnDelayed: "false" },
  });
});

test("X12: KEDA aims at the messages that fill one pod's slots, whatever slots and runs per message are", async () => {
  const lengthWith = async (executor: object, runsPerMessage: number) => {
    const values = { ...onAws, dispatcher: { runsPerMessage }, executor: { keda: { enabled: true }, ...executor } };
    return (await render(values)).one("ScaledObject", "schedule-executor").spec.triggers[0].metadata.queueLength;
  };
  expect(await lengthWith({ slots: 100 }, 20)).toBe("5");
  expect(await lengthWith({ slots: 100 }, 1)).toBe("100");
  expect(await lengthWith({ slots: 10 }, 20)).toBe("1");
  expect(await lengthWith({ keda: { enabled: true, queueLength: 40 } }, 20)).toBe("40");
});

test("K3: KEDA signs in by a pod identity, not by keys", async () => {
  const chart = await render(keda);
  const { authenticationRef } = chart.one("ScaledObject", "schedule-executor").spec.triggers[0];
  expect(chart.one("TriggerAuthentication", authenticationRef.name).spec).toEqual({ podIdentity: { provider: "aws" } });
});

test("Who scales pods decides their number alone: no Deployment with an autoscaler names replicas, and each without one does", async () => {
  const replicasOf = async (values: object, name: string) => (await render(values)).one("Deployment", name).spec.replicas;
  expect(await replicasOf(keda, "schedule-executor")).toBeUndefined();
  expect(await replicasOf(hpa, "schedule-executor")).toBeUndefined();
  expect(await replicasOf(hpa, "downbeat-api")).toBeUndefined();
  expect([await replicasOf(onAws, "schedule-executor"), await replicasOf(onAws, "downbeat-api")]).toEqual([2, 2]);
});

test("The CPU autoscalers point at Deployments that request CPU, and wait before they take a pod away", async () => {
  const chart = await render(hpa);
  for (const autoscaler of chart.all("HorizontalPodAutoscaler")) {
    const { kind, name } = autoscaler.spec.scaleTargetRef;
    expect(chart.one(kind, name).spec.template.spec.containers[0].resources.requests.cpu).toBeDefined();
    expect(autoscaler.spec.minReplicas).toBeGreaterThanOrEqual(2);
  }
  expect(chart.one("HorizontalPodAutoscaler", "schedule-executor").spec.behavior.scaleDown.stabilizationWindowSeconds).toBe(300);
});
