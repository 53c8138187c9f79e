import { expect, test } from "vitest";
import { listAwsKeys } from "../../scripts/chart/aws-keys.ts";
import { listPodProblems } from "../../scripts/chart/pod-policy.ts";
import type { Manifest } from "../../scripts/chart/render.ts";

const goodContainer = {
  name: "app",
  image: "registry.example:5000/downbeat-scheduler:0.1.0",
  resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } },
  securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
};
const goodPod = {
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
  containers: [goodContainer],
  volumes: [{ name: "tmp", emptyDir: { sizeLimit: "16Mi" } }],
};

test("The pod policy (K1) reads the pods of every kind that makes any, and lets a good one pass", () => {
  expect(["Deployment", "StatefulSet", "Job"].map((kind) => listPodProblems(manifest(kind, { template: { spec: goodPod } })))).toEqual([
    [],
    [],
    [],
  ]);
  expect(listPodProblems(manifest("CronJob", { jobTemplate: { spec: { template: { spec: goodPod } } } }))).toEqual([]);
  expect(
    listPodProblems(manifest("CronJob", { jobTemplate: { spec: { template: { spec: { containers: [{ name: "app" }] } } } } })),
  ).toContain("container app: runAsNonRoot is not true");
});

test.each([
  ["hostNetwork", { hostNetwork: true }, "shares a namespace of the host"],
  [
    "a service account token",
    { automountServiceAccountToken: undefined },
    "automountServiceAccountToken is not false: no part of Downbeat",
  ],
  ["service links", { enableServiceLinks: undefined }, "enableServiceLinks is not false"],
  ["a folder of the host", { volumes: [{ name: "x", hostPath: {} }] }, "volume x is of a kind that the restricted level forbids"],
  ["a boundless folder", { volumes: [{ name: "x", emptyDir: {} }] }, "volume x has no sizeLimit"],
  ["an unconfined pod", { securityContext: { runAsNonRoot: true } }, "has no seccompProfile"],
  ["root by its number", { securityContext: { ...goodPod.securityContext, runAsUser: 0 } }, "runs as root"],
  ["a container of its own will", { containers: [own({ runAsNonRoot: false })] }, "runAsNonRoot is not true"],
  ["an init container too", { initContainers: [own({ privileged: true })] }, "is privileged"],
  [
    "an added capability",
    { containers: [own({ capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } })] },
    "adds the capabilities SYS_ADMIN",
  ],
  ["a writable root", { containers: [own({ readOnlyRootFilesystem: false })] }, "readOnlyRootFilesystem is not true"],
  ["no tag", { containers: [{ ...goodContainer, image: "registry.example:5000/app" }] }, "names no fixed version"],
  ["the tag latest", { containers: [{ ...goodContainer, image: "app:latest" }] }, "names no fixed version"],
  [
    "no limits",
    { containers: [{ ...goodContainer, resources: { requests: { cpu: 1, memory: 1 } } }] },
    "has no resources.limits.cpu, resources.limits.memory",
  ],
])("The pod policy (K1) refuses %s", (_, change, problem) => {
  const problems = listPodProblems(manifest("Deployment", { template: { spec: { ...goodPod, ...change } } }));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test("AWS keys (K3) are found in variables, ConfigMaps and Secrets, encoded or not; only what a queue server that is not AWS checks nothing of may pass", () => {
  const secret = { ...manifest("Secret"), data: { AWS_SECRET_ACCESS_KEY: btoa("real") } };
  const settings = { ...manifest("ConfigMap"), data: { OTHER_NAME: "AKIAIOSFODNN7EXAMPLE" } };
  const harmless = { ...manifest("ConfigMap"), data: { AWS_ACCESS_KEY_ID: "test" } };
  const emulator = { ...manifest("ConfigMap"), data: { AWS_ENDPOINT_URL: "http://localstack:4566" } };
  const vpcEndpoint = { ...manifest("ConfigMap"), data: { AWS_ENDPOINT_URL: "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com" } };
  expect(listAwsKeys([secret, settings, harmless])).toHaveLength(3);
  expect(listAwsKeys([secret, settings, harmless, vpcEndpoint])).toHaveLength(3);
  expect(listAwsKeys([secret, settings, harmless, emulator])).toHaveLength(2);
});

function own(securityContext: object): object {
  return { ...goodContainer, securityContext: { ...goodContainer.securityContext, ...securityContext } };
}

function manifest(kind: string, spec?: object): Manifest {
  return { apiVersion: "v1", kind, metadata: { name: "any" }, spec };
}
