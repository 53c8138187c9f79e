import { expect, test } from "vitest";
import { bundled, onAws, render } from "./render-chart.ts";

/** What each switch adds to an installation on AWS; everything else must stay as it was. */
const features: Record<string, { values: object; adds: string[]; removes?: string[] }> = {
  "executor.hpa": { values: { executor: { hpa: { enabled: true } } }, adds: ["HorizontalPodAutoscaler schedule-executor"] },
  "executor.keda": {
    values: { executor: { keda: { enabled: true } } },
    adds: ["ScaledObject schedule-executor", "TriggerAuthentication schedule-executor"],
  },
  "api.hpa": { values: { api: { hpa: { enabled: true } } }, adds: ["HorizontalPodAutoscaler downbeat-api"] },
  "api.ingress": {
    values: {
      api: { ingress: { enabled: true, hosts: ["downbeat.example"] } },
      networkPolicy: { api: { from: [{ namespaceSelector: {} }] } },
    },
    adds: ["Ingress downbeat-api"],
  },
  "api.httpRoute": {
    values: {
      api: { httpRoute: { enabled: true, parentRefs: [{ name: "gateway" }] } },
      networkPolicy: { api: { from: [{ namespaceSelector: {} }] } },
    },
    adds: ["HTTPRoute downbeat-api"],
  },
  "metrics.monitors": {
    values: { metrics: { monitors: { enabled: true } }, networkPolicy: { metrics: { from: [{ namespaceSelector: {} }] } } },
    adds: ["PodMonitor schedule-executor", "ServiceMonitor downbeat-api"],
  },
  "metrics.prometheusRule": { values: { metrics: { prometheusRule: { enabled: true } } }, adds: ["PrometheusRule downbeat"] },
  "metrics.dashboard": { values: { metrics: { dashboard: { enabled: true } } }, adds: ["ConfigMap downbeat-dashboard"] },
  "dispatcher.mode": {
    values: { dispatcher: { mode: "deployment" } },
    adds: ["Deployment schedule-dispatcher", "PodDisruptionBudget schedule-dispatcher"],
    removes: ["CronJob schedule-dispatcher"],
  },
  "migrate off": { values: { migrate: { enabled: false } }, adds: [], removes: ["Job downbeat-migrate", "NetworkPolicy downbeat-migrate"] },
  "tests off": { values: { tests: { enabled: false } }, adds: [], removes: ["NetworkPolicy downbeat-test", "Pod downbeat-test"] },
};

test.each(Object.entries(features))("%s adds and removes exactly its own objects", async (_, { values, adds, removes = [] }) => {
  const [without, within] = [await render(onAws), await render({ ...onAws, ...values })];
  expect(within.names.filter((name) => !without.names.includes(name))).toEqual(adds);
  expect(without.names.filter((name) => !within.names.includes(name))).toEqual(removes);
});

test("An installation on AWS holds nothing of the bundled Postgres and queue, and no word of a local endpoint", async () => {
  const text = JSON.stringify((await render(onAws)).manifests);
  expect(text).not.toMatch(/localstack|postgresql|AWS_ENDPOINT_URL|AWS_ACCESS_KEY_ID/);
  expect((await render(bundled)).names).toEqual(
    expect.arrayContaining(["Deployment localstack", "Service localstack", "Service postgresql", "StatefulSet postgresql"]),
  );
});

test("Without network policies none is left behind", async () => {
  expect((await render({ ...bundled, networkPolicy: { enabled: false } })).all("NetworkPolicy")).toEqual([]);
});
