import { expect, test } from "vitest";
import { renderChart } from "../../scripts/chart/render.ts";
import { validateManifest } from "../../scripts/chart/validate-manifest.ts";
import { bundled, onAws, render } from "./render-chart.ts";

test("Names are those that documents, alerts and make targets use", async () => {
  const chart = await render(onAws);
  for (const [kind, name] of [
    ["CronJob", "schedule-dispatcher"],
    ["Deployment", "schedule-executor"],
    ["Deployment", "downbeat-api"],
    ["Service", "downbeat-api"],
    ["Job", "downbeat-migrate"],
    ["ConfigMap", "scheduler-env"],
    ["Secret", "downbeat-secrets"],
    ["ServiceAccount", "schedule-dispatcher"],
    ["ServiceAccount", "schedule-executor"],
    ["ServiceAccount", "downbeat-api"],
  ] as const)
    expect([name, chart.has(kind, name)]).toEqual([name, true]);
  expect(chart.one("Service", "downbeat-api").spec.ports[0]).toMatchObject({ name: "http", port: 80, targetPort: "http" });
});

test("Values with a meaning of their own arrive as the variable they stand for", async () => {
  const chart = await render({
    ...onAws,
    logLevel: "debug",
    dispatcher: { runsPerMessage: 7, cronjob: { dispatchForSeconds: 40 } },
    executor: { slots: 10000, drainSeconds: 30, env: { LEASE_MS: 2000000 } },
    metrics: { tenantLabel: true },
  });
  expect(chart.env("schedule-dispatcher")).toMatchObject({
    LOG_LEVEL: "debug",
    RUNS_PER_MESSAGE: "7",
    DISPATCH_FOR_SECONDS: "40",
    AWS_REGION: "eu-west-1",
  });
  // A number of a YAML file that a template prints carelessly becomes 1e+06.
  expect(chart.env("schedule-executor")).toMatchObject({
    MAX_CONCURRENT_RUNS: "10000",
    DRAIN_SECONDS: "30",
    LEASE_MS: "2000000",
    METRICS_TENANT_LABEL: "true",
  });
  expect(chart.env("downbeat-api")["LEASE_MS"]).toBeUndefined();
});

test("Pods restart when their configuration changes, and do not when nothing did", async () => {
  const checksums = async (values: object) => (await render(values)).pod("schedule-executor").metadata?.annotations;
  expect(await checksums({ ...onAws, logLevel: "debug" })).not.toEqual(await checksums(onAws));
  expect(await checksums({ ...onAws, api: { replicas: 5 } })).toEqual(await checksums(onAws));
});

test("Names that YAML would take for numbers or switches stay text: a namespace 123, a Secret's key on, a storage class 1", async () => {
  const own = {
    database: { existingSecret: { name: "1e3", key: "on" } },
    secretKeys: { existingSecret: { name: "5", key: "no" } },
    queue: { url: "https://sqs.eu-west-1.amazonaws.com/123456789012/123" },
    priorityClassName: "1",
    executor: { keda: { enabled: true } },
    api: { ingress: { enabled: true, hosts: ["downbeat.example"], className: "1" } },
    metrics: { monitors: { enabled: true }, prometheusRule: { enabled: true }, dashboard: { enabled: true } },
    networkPolicy: { api: { from: [{ podSelector: {} }] }, metrics: { from: [{ podSelector: {} }] } },
  };
  const inNamespace = {
    ...bundled,
    queue: { bundled: true, name: "123" },
    postgresql: { persistence: { enabled: true, storageClassName: "1" } },
  };
  for (const values of [own, inNamespace]) {
    const manifests = await renderChart({ values, release: "123", namespace: "456" });
    expect((await Promise.all(manifests.map((manifest) => validateManifest(manifest)))).flat()).toEqual([]);
  }
});
