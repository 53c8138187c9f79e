import { expect, test } from "vitest";
import { readManifests } from "../../scripts/chart/render.ts";
import { validateManifest } from "../../scripts/chart/validate-manifest.ts";

test("A misspelled field fails, however deep it stands and however free its neighbours are", async () => {
  expect(
    await problemsOf(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: a, labels: { any: key }, annotations: { example.org/any: key } }
spec:
  replica: 1
  selector: { matchLabels: { any: key } }
  template:
    metadata: { labels: { any: key } }
    spec:
      containers:
        - name: a
          resources: { limits: { memory: 1Gi, example.org/any: 1 } }
          livenessProbe: { httpGet: { path: /, port: metrics, prot: 1 } }
      volumes: [{ name: tmp, emptyDir: { sizeLimt: 1Mi } }]
`),
  ).toEqual([
    "/spec/replica is not a field of apps/v1 Deployment",
    "/spec/template/spec/containers/0/livenessProbe/httpGet/prot is not a field of apps/v1 Deployment",
    "/spec/template/spec/volumes/0/emptyDir/sizeLimt is not a field of apps/v1 Deployment",
  ]);
});

test("Kinds of KEDA and of the Prometheus operator are held to their own schemas", async () => {
  expect(
    await problemsOf(`
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: a }
spec: { scaleTargetRef: { name: a }, minReplicas: 2, triggers: [{ type: aws-sqs-queue, metadata: { any: "key" } }] }
`),
  ).toEqual(["/spec/minReplicas is not a field of keda.sh/v1alpha1 ScaledObject"]);
  expect(
    await problemsOf(`
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: { name: a }
spec: { selector: { matchLabels: { any: key } }, endpoints: [{ port: metrics, intervall: 30s }] }
`),
  ).toEqual(["/spec/endpoints/0/intervall is not a field of monitoring.coreos.com/v1 ServiceMonitor"]);
});

test("A value of the wrong type and a key that lost its block fail", async () => {
  expect(
    await problemsOf(`
apiVersion: v1
kind: ConfigMap
metadata: { name: a, labels: }
data: { SLOTS: 20, IS_ON: on }
`),
  ).toEqual(["/data/SLOTS must be string", "/data/IS_ON must be string", "/metadata/labels has no value"]);
});

test("A kind without a schema fails instead of passing unread", async () => {
  expect(await problemsOf("{ apiVersion: example.org/v1, kind: Gadget, metadata: { name: a } }")).toEqual([
    "no schema is known for example.org/v1 Gadget",
  ]);
});

async function problemsOf(text: string): Promise<string[]> {
  const [manifest] = readManifests(text);
  return manifest === undefined ? [] : await validateManifest(manifest);
}
