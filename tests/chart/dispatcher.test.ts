import { expect, test } from "vitest";
import { onAws, render } from "./render-chart.ts";

test("D13: the CronJob never stalls after missed minutes, never overlaps itself by default, and its Job ends by itself before it is ended", async () => {
  const chart = await render(onAws);
  const { spec } = chart.one("CronJob", "schedule-dispatcher");
  expect(spec).toMatchObject({
    schedule: "* * * * *",
    timeZone: "Etc/UTC",
    concurrencyPolicy: "Forbid",
    startingDeadlineSeconds: 120,
    suspend: false,
    jobTemplate: { spec: { backoffLimit: 0, activeDeadlineSeconds: 110, template: { spec: { restartPolicy: "Never" } } } },
  });
  expect(chart.env("schedule-dispatcher")["DISPATCH_FOR_SECONDS"]).toBe("55");
  expect(spec.successfulJobsHistoryLimit).toBeLessThanOrEqual(5);
  expect(spec.failedJobsHistoryLimit).toBeGreaterThanOrEqual(1);
});

test("D13: a dispatcher Job gets no metrics port and no probe, because it is gone before anything could ask it", async () => {
  const { ports, livenessProbe, readinessProbe } = (await render(onAws)).container("schedule-dispatcher");
  expect([ports, livenessProbe, readinessProbe]).toEqual([undefined, undefined, undefined]);
});

test("A dispatcher is either a CronJob or a Deployment of that name, never both; the Deployment's goes on for ever and is probed", async () => {
  const chart = await render({ ...onAws, dispatcher: { mode: "deployment" } });
  expect([chart.has("CronJob", "schedule-dispatcher"), chart.has("Deployment", "schedule-dispatcher")]).toEqual([false, true]);
  expect(chart.env("schedule-dispatcher")).toMatchObject({
    DISPATCH_FOR_SECONDS: "forever",
    METRICS_PORT: "9464",
    METRICS_HOST: "0.0.0.0",
  });
  expect(chart.container("schedule-dispatcher").livenessProbe?.httpGet).toEqual({ path: "/livez", port: "metrics" });
  expect(chart.one("PodDisruptionBudget", "schedule-dispatcher").spec.maxUnavailable).toBe(1);
  expect((await render(onAws)).has("PodDisruptionBudget", "schedule-dispatcher")).toBe(false);
});
