/**
 * AWS keys in a cluster (rule K3): pods get their identity from IRSA or Pod Identity, so a key in an environment variable, a ConfigMap or a Secret is a mistake.
 * The one exception is a queue server that is not AWS, such as the bundled one: it wants requests to be signed with anything and checks nothing, so that there the
 * value itself says that it opens nothing.
 */
import type { Manifest } from "./render.ts";
import { containersOf, podOf } from "./pods-of.ts";

const keyNames = /^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)$/;
const keyValues = /\b(AKIA|ASIA)[A-Z0-9]{16}\b/;
const harmlessValue = "test";

/** Where AWS keys stand in these manifests, which are one installation. */
export function listAwsKeys(manifests: readonly Manifest[]): string[] {
  const variables = manifests.flatMap((manifest) => variablesOf(manifest));
  const isAwayFromAws = variables.some(([name, value]) => name === "AWS_ENDPOINT_URL" && !/\.amazonaws\.com(\.cn)?(\/|$)/.test(value));
  return manifests.flatMap((manifest) =>
    variablesOf(manifest)
      .filter(([name, value]) => keyValues.test(value) || (keyNames.test(name) && !(isAwayFromAws && value === harmlessValue)))
      .map(([name]) => `${manifest.kind} ${manifest.metadata.name} holds ${name}: give the service account a role instead`),
  );
}

function variablesOf(manifest: Manifest): [name: string, value: string][] {
  const pod = podOf(manifest);
  const ofContainers =
    pod === undefined
      ? []
      : containersOf(pod).flatMap(({ env = [] }) => env.map(({ name, value = "" }) => [name, value] as [string, string]));
  const encoded =
    manifest.kind === "Secret" ? entriesOf(manifest["data"]).map(([name, value]) => [name, atob(value)] as [string, string]) : [];
  const plain = ["ConfigMap", "Secret"].includes(manifest.kind)
    ? entriesOf(manifest[manifest.kind === "Secret" ? "stringData" : "data"])
    : [];
  return [...ofContainers, ...encoded, ...plain];
}

function entriesOf(value: unknown): [string, string][] {
  return Object.entries((value ?? {}) as Record<string, string>);
}
