/**
 * What every pod of the chart must be (rule K1): the *restricted* pod-security level word for word, and what we ask beyond it. The API server enforces the first
 * half where the namespace is labelled; here it is seen before anything is installed, for every values file.
 */
import type { Manifest } from "./render.ts";
import { containersOf, podOf, type Container, type PodSpec, type SecurityContext, type Volume } from "./pods-of.ts";

/** What is wrong with the pod that this manifest makes, one sentence each; empty for manifests that make none. */
export function listPodProblems(manifest: Manifest): string[] {
  const pod = podOf(manifest);
  if (pod === undefined) return [];
  const spec = pod.spec ?? {};
  return [
    ...listPodLevel(spec),
    ...(spec.volumes ?? []).flatMap((volume) => listVolume(volume)),
    ...containersOf(pod).flatMap((container) => listContainer(container, spec).map((problem) => `container ${container.name}: ${problem}`)),
  ];
}

function listPodLevel(spec: PodSpec): string[] {
  return told([
    [spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true, "shares a namespace of the host"],
    [(spec.securityContext?.sysctls ?? []).length > 0, "sets sysctls"],
    [
      spec.automountServiceAccountToken !== false,
      "automountServiceAccountToken is not false: no part of Downbeat speaks to the API server",
    ],
    [spec.enableServiceLinks !== false, "enableServiceLinks is not false: variables of other services would reach our configuration"],
  ]);
}

const allowedSources = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

function listVolume({ name, ...sources }: Volume): string[] {
  return told([
    [Object.keys(sources).some((source) => !allowedSources.has(source)), `volume ${name} is of a kind that the restricted level forbids`],
    [
      sources.emptyDir !== undefined && sources.emptyDir.sizeLimit === undefined,
      `volume ${name} has no sizeLimit: it could fill the node's disk`,
    ],
  ]);
}

function listContainer(container: Container, { securityContext: ofPod = {} }: PodSpec): string[] {
  const own = container.securityContext ?? {};
  return [
    ...listRestricted(own, ofPod),
    ...told([
      [(container.ports ?? []).some(({ hostPort }) => hostPort !== undefined && hostPort !== 0), "takes a port of the host"],
      [own.readOnlyRootFilesystem !== true, "readOnlyRootFilesystem is not true"],
      [!hasFixedTag(container.image ?? ""), `image ${container.image} names no fixed version`],
    ]),
    ...listResources(container),
  ];
}

/** https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted; a container's own setting wins over the pod's. */
function listRestricted(own: SecurityContext, ofPod: SecurityContext): string[] {
  const { drop = [], add = [] } = own.capabilities ?? {};
  const seccomp = (own.seccompProfile ?? ofPod.seccompProfile)?.type ?? "";
  const appArmor = (own.appArmorProfile ?? ofPod.appArmorProfile)?.type ?? "RuntimeDefault";
  const seLinux = own.seLinuxOptions ?? ofPod.seLinuxOptions ?? {};
  return told([
    [own.privileged === true, "is privileged"],
    [own.allowPrivilegeEscalation !== false, "allowPrivilegeEscalation is not false"],
    [!drop.includes("ALL"), "capabilities.drop does not hold ALL"],
    [add.some((capability) => capability !== "NET_BIND_SERVICE"), `adds the capabilities ${add.join(", ")}`],
    [(own.runAsNonRoot ?? ofPod.runAsNonRoot) !== true, "runAsNonRoot is not true"],
    [(own.runAsUser ?? ofPod.runAsUser) === 0, "runs as root"],
    [!["RuntimeDefault", "Localhost"].includes(seccomp), "has no seccompProfile"],
    [!["RuntimeDefault", "Localhost"].includes(appArmor), "switches AppArmor off"],
    [seLinux.user !== undefined || seLinux.role !== undefined, "sets SELinux user or role"],
    [own.procMount !== undefined && own.procMount !== "Default", "unmasks /proc"],
  ]);
}

function hasFixedTag(image: string): boolean {
  if (/@sha256:[0-9a-f]{64}$/.test(image)) return true;
  // A colon before the last slash belongs to the registry's port.
  const [, tag = "latest"] = /:([^:/]+)$/.exec(image) ?? [];
  return tag !== "latest";
}

function listResources({ resources = {} }: Container): string[] {
  const missing = (["requests", "limits"] as const).flatMap((group) =>
    ["cpu", "memory"].filter((name) => resources[group]?.[name] === undefined).map((name) => `resources.${group}.${name}`),
  );
  return missing.length === 0 ? [] : [`has no ${missing.join(", ")}`];
}

function told(findings: readonly (readonly [isWrong: boolean, sentence: string])[]): string[] {
  return findings.filter(([isWrong]) => isWrong).map(([, sentence]) => sentence);
}
