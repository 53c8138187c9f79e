/** What holds for every values file of the chart's `ci/`, which together switch everything on that can be switched on. */
import { apiConfig } from "@downbeat/api/config.ts";
import { databaseConfig } from "@downbeat/cli/config.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import { expect, test } from "vitest";
import { listAwsKeys } from "../../scripts/chart/aws-keys.ts";
import { listPodProblems } from "../../scripts/chart/pod-policy.ts";
import { listDangling } from "./dangling-names.ts";
import { mayEnter, mayReach } from "./network-policies.ts";
import { renderCiFiles, type Rendering } from "./render-chart.ts";

const configs = { "schedule-dispatcher": dispatcherConfig, "schedule-executor": executorConfig, "downbeat-api": apiConfig } as const;
/** By the AWS SDK and by Node, not by our own configuration. */
const readByOthers = new Set(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "NODE_EXTRA_CA_CERTS"]);

test("K1: every pod of every ci file passes the restricted level, has a read-only root, requests and limits, and mounts no token", async () => {
  for (const { name, rendering } of await renderCiFiles())
    for (const manifest of rendering.manifests)
      expect([name, manifest.metadata.name, listPodProblems(manifest)]).toEqual([name, manifest.metadata.name, []]);
});

test("K2: every pod of every ci file is denied everything, both ways, before a policy of its own allows something", async () => {
  for (const { name, rendering } of await renderCiFiles()) {
    if (rendering.all("NetworkPolicy").length === 0) continue;
    for (const app of appsOf(rendering)) {
      expect([name, app, mayEnter(rendering, app, { labels: {}, namespace: {} }, { port: 22 })]).toEqual([name, app, false]);
      const mayReachPods = app === "schedule-executor" && allowsPrivateTargets(rendering);
      expect([name, app, mayReach(rendering, app, { labels: {} }, { port: 22 })]).toEqual([name, app, mayReachPods]);
    }
  }
});

/** Then a tenant's endpoint may be any pod. */
function allowsPrivateTargets(rendering: Rendering): boolean {
  return rendering.all("ConfigMap").some(({ data }) => data?.["ALLOW_PRIVATE_TARGETS"] === "true");
}

test("K3: no AWS key stands in any ci file, but for what a queue server that is not AWS checks nothing of", async () => {
  for (const { name, rendering } of await renderCiFiles()) expect([name, listAwsKeys(rendering.manifests)]).toEqual([name, []]);
});

test("X11: Kubernetes grants an executor more than its drain time and the 15 s it needs to record what it did, in every ci file", async () => {
  for (const { name, rendering } of await renderCiFiles()) {
    const grace = rendering.pod("schedule-executor").spec?.terminationGracePeriodSeconds ?? 0;
    const isEnough = grace >= Number(rendering.env("schedule-executor")["DRAIN_SECONDS"]) + 15;
    expect([name, isEnough]).toEqual([name, true]);
  }
});

test("Every role starts with the environment that the chart gives it, in every ci file", async () => {
  for (const { rendering } of await renderCiFiles())
    for (const [app, config] of Object.entries(configs)) expect(() => readConfig(config, environmentOf(rendering, app))).not.toThrow();
});

test("The chart sets no variable that nothing reads: a misspelled one would leave the default in force", async () => {
  const known = new Set([...Object.values(configs), databaseConfig].flatMap((config) => Object.keys(config.shape)));
  const names = (await renderCiFiles()).flatMap(({ rendering }) =>
    ["schedule-dispatcher", "schedule-executor", "downbeat-api", "downbeat-migrate"]
      .filter((app) => rendering.pods.some(({ pod }) => pod.metadata?.labels?.["app"] === app))
      .flatMap((app) => Object.keys(rendering.env(app))),
  );
  expect([...new Set(names)].filter((name) => !known.has(name) && !readByOthers.has(name))).toEqual([]);
});

test("Whatever one object names exists in the same release, in every ci file: no pod waits for a ConfigMap, key, account or port that nobody makes", async () => {
  for (const { name, rendering, brings } of await renderCiFiles()) expect([name, listDangling(rendering, brings)]).toEqual([name, []]);
});

test("Every object stands in the release's namespace and carries the recommended labels", async () => {
  for (const { name, rendering } of await renderCiFiles())
    for (const { kind, metadata } of rendering.manifests) {
      const { namespace, labels = {} } = metadata;
      const missing = ["name", "instance", "component", "part-of", "managed-by", "version"].filter(
        (key) => labels[`app.kubernetes.io/${key}`] === undefined,
      );
      expect([name, kind, metadata.name, namespace, missing]).toEqual([name, kind, metadata.name, "local", []]);
    }
});

test("What a Deployment selects by never changes with the chart's or the application's version, because Kubernetes would refuse the upgrade", async () => {
  for (const { rendering } of await renderCiFiles())
    for (const { spec } of [...rendering.all("Deployment"), ...rendering.all("StatefulSet")])
      expect(Object.keys(spec.selector.matchLabels).sort()).toEqual(["app", "app.kubernetes.io/instance"]);
});

/** What a Secret would hold is replaced by something of the right form. */
function environmentOf(chart: Rendering, app: string): Record<string, string> {
  const forms: Record<string, string> = {
    DATABASE_URL: "postgres://user:password@postgres:5432/downbeat",
    DOWNBEAT_SECRET_KEYS: `k1:${Buffer.alloc(32).toString("base64")}`,
  };
  return Object.fromEntries(
    Object.entries(chart.env(app)).map(([name, value]) => [name, value.startsWith("secret ") ? (forms[name] ?? value) : value]),
  );
}

function appsOf(chart: Rendering): string[] {
  return [...new Set(chart.pods.map(({ pod }) => pod.metadata?.labels?.["app"] ?? ""))];
}
