import { expect, test } from "vitest";
import { bundled, isSelected, onAws, render } from "./render-chart.ts";

test("X11: a disruption takes one executor at a time, and leaves the pods it is meant for", async () => {
  const chart = await render(onAws);
  for (const app of ["schedule-executor", "downbeat-api"]) {
    const { spec } = chart.one("PodDisruptionBudget", app);
    expect(spec.maxUnavailable).toBe(1);
    const covered = chart.pods.filter(({ pod }) => isSelected(spec.selector, pod.metadata?.labels));
    expect(covered.map(({ owner }) => owner)).toEqual([`Deployment ${app}`]);
  }
});

test("X11: SIGTERM reaches the process itself: no shell stands between the kubelet and node", async () => {
  const chart = await render({ ...onAws, dispatcher: { mode: "deployment" } });
  expect(["schedule-dispatcher", "schedule-executor", "downbeat-api"].map((app) => chart.container(app).command)).toEqual([
    ["node", "/app/lib/dispatcher.js"],
    ["node", "/app/lib/executor.js"],
    ["node", "/app/lib/api.js"],
  ]);
});

test("K4: no liveness probe asks anything but the process itself, and readiness is a question of its own", async () => {
  const chart = await render({ ...onAws, dispatcher: { mode: "deployment" } });
  for (const app of ["schedule-dispatcher", "schedule-executor", "downbeat-api"]) {
    const { livenessProbe, readinessProbe, ports = [] } = chart.container(app);
    expect([app, livenessProbe?.httpGet, readinessProbe?.httpGet]).toEqual([
      app,
      { path: "/livez", port: "metrics" },
      { path: "/readyz", port: "metrics" },
    ]);
    expect(ports).toContainEqual({ name: "metrics", containerPort: 9464, protocol: "TCP" });
  }
});

test("Executors spread over zones and nodes by the labels they carry", async () => {
  const chart = await render(onAws);
  const { spec, metadata } = chart.pod("schedule-executor");
  expect(spec?.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
    "topology.kubernetes.io/zone",
    "kubernetes.io/hostname",
  ]);
  for (const { labelSelector } of spec?.topologySpreadConstraints ?? []) expect(isSelected(labelSelector, metadata?.labels)).toBe(true);
});

test("API and executors open endpoint secrets with the same key ring, and each role connects to Postgres by a key of its own", async () => {
  const chart = await render(bundled);
  const [api, executor, dispatcher] = ["downbeat-api", "schedule-executor", "schedule-dispatcher"].map((app) => chart.env(app));
  expect(api?.["DOWNBEAT_SECRET_KEYS"]).toBe("secret downbeat-secrets/secret-keys");
  expect(executor?.["DOWNBEAT_SECRET_KEYS"]).toBe(api?.["DOWNBEAT_SECRET_KEYS"]);
  expect(dispatcher?.["DOWNBEAT_SECRET_KEYS"]).toBeUndefined();
  expect([api, executor, dispatcher].map((env) => env?.["DATABASE_URL"])).toEqual([
    "secret downbeat-secrets/api-database-url",
    "secret downbeat-secrets/executor-database-url",
    "secret downbeat-secrets/dispatcher-database-url",
  ]);
});
