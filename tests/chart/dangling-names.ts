/** Names in one object that lead to another. */
import type { Container, PodTemplate } from "../../scripts/chart/pods-of.ts";
import { isSelected, type Rendering } from "./render-chart.ts";

/** One sentence for each name that leads nowhere. ConfigMaps, Secrets and accounts that the installation brings itself are not looked for. */
export function listDangling(chart: Rendering, brings: (name: string) => boolean): string[] {
  return [
    ...chart.pods.flatMap(({ owner, pod }) => listOfPod(chart, owner, pod, brings)),
    ...chart.all("Service").flatMap((service) => listOfService(chart, service)),
    ...chart.all("ServiceMonitor").flatMap((monitor) => listOfServiceMonitor(chart, monitor)),
    ...chart.all("PodMonitor").flatMap((monitor) => listOfPodMonitor(chart, monitor)),
    ...listBackends(chart).flatMap((backend) => listOfBackend(chart, backend)),
    ...[...chart.all("HorizontalPodAutoscaler"), ...chart.all("ScaledObject")].flatMap((autoscaler) => listOfAutoscaler(chart, autoscaler)),
    ...chart
      .all("PodDisruptionBudget")
      .flatMap(({ metadata, spec }) =>
        missing(podsWith(chart, spec.selector).length === 0, `PodDisruptionBudget ${metadata.name}`, "a pod"),
      ),
  ];
}

function listOfPod(chart: Rendering, owner: string, { spec = {} }: PodTemplate, brings: (name: string) => boolean): string[] {
  const { serviceAccountName, containers = [], volumes = [] } = spec;
  const makesAccounts = chart.all("ServiceAccount").length > 0;
  const configMaps = [
    ...containers.flatMap(({ envFrom = [] }) => envFrom.flatMap(({ configMapRef }) => configMapRef?.name ?? [])),
    ...volumes.flatMap((volume) => (volume["configMap"] as { name: string } | undefined)?.name ?? []),
  ];
  return [
    ...missing(
      makesAccounts && serviceAccountName !== undefined && !chart.has("ServiceAccount", serviceAccountName),
      owner,
      `ServiceAccount ${serviceAccountName}`,
    ),
    ...configMaps.flatMap((name) => missing(!chart.has("ConfigMap", name) && !brings(name), owner, `ConfigMap ${name}`)),
    ...containers.flatMap((container) =>
      listOfContainer(chart, owner, container, [...volumes.map(({ name }) => name), ...claimsOf(chart, owner)]),
    ),
  ];
}

function listOfContainer(
  chart: Rendering,
  owner: string,
  { env = [], volumeMounts = [], ports = [], ...probes }: Container,
  volumes: string[],
): string[] {
  const keys = env.flatMap(({ valueFrom }) => valueFrom?.["secretKeyRef"] ?? []);
  const asked = [probes.livenessProbe, probes.readinessProbe, probes.startupProbe].flatMap(
    (probe) => probe?.httpGet?.port ?? probe?.tcpSocket?.port ?? [],
  );
  return [
    ...keys.flatMap(({ name = "", key = "" }) =>
      missing(chart.has("Secret", name) && chart.one("Secret", name).data[key] === undefined, owner, `key ${key} of Secret ${name}`),
    ),
    ...volumeMounts.flatMap(({ name }) => missing(!volumes.includes(name), owner, `volume ${name}`)),
    ...asked.flatMap((port) =>
      missing(!ports.some(({ name, containerPort }) => port === name || port === containerPort), owner, `port ${port} for its probe`),
    ),
  ];
}

function claimsOf(chart: Rendering, owner: string): string[] {
  const [kind = "", name = ""] = owner.split(" ");
  return (chart.one(kind, name).spec.volumeClaimTemplates ?? []).map(({ metadata }: any) => metadata.name);
}

function listOfService(chart: Rendering, { metadata, spec }: any): string[] {
  const ports = portsOf(podsWith(chart, { matchLabels: spec.selector }));
  return spec.ports.flatMap(({ targetPort }: any) =>
    missing(!ports.includes(targetPort), `Service ${metadata.name}`, `port ${targetPort} of a pod`),
  );
}

/** An endpoint names a port of the Service, or by `targetPort` one of the pods behind it that the Service itself does not offer. */
function listOfServiceMonitor(chart: Rendering, { metadata, spec }: any): string[] {
  const services = chart.all("Service").filter((service) => isSelected(spec.selector, service.metadata.labels));
  const offered = new Set(services.flatMap((service) => service.spec.ports.map(({ name }: any) => name)));
  const behind = new Set(portsOf(services.flatMap((service) => podsWith(chart, { matchLabels: service.spec.selector }))));
  return spec.endpoints.flatMap(({ port, targetPort }: any) =>
    missing(
      targetPort === undefined ? !offered.has(port) : !behind.has(targetPort),
      `ServiceMonitor ${metadata.name}`,
      `port ${port ?? targetPort}`,
    ),
  );
}

function listOfPodMonitor(chart: Rendering, { metadata, spec }: any): string[] {
  const ports = portsOf(podsWith(chart, spec.selector));
  return spec.podMetricsEndpoints.flatMap(({ port }: any) =>
    missing(!ports.includes(port), `PodMonitor ${metadata.name}`, `port ${port} of a pod`),
  );
}

interface Backend {
  from: string;
  service: string;
  port: { name?: string; number?: number };
}

function listBackends(chart: Rendering): Backend[] {
  const ofIngress = (ingress: any): Backend[] =>
    ingress.spec.rules.flatMap(({ http }: any) =>
      http.paths.map(({ backend: { service } }: any) => ({ from: "Ingress", service: service.name, port: service.port })),
    );
  const ofRoute = (route: any): Backend[] =>
    route.spec.rules.flatMap(({ backendRefs }: any) =>
      backendRefs.map(({ name, port }: any) => ({ from: "HTTPRoute", service: name, port: { number: port } })),
    );
  return [...chart.all("Ingress").flatMap(ofIngress), ...chart.all("HTTPRoute").flatMap(ofRoute)];
}

function listOfBackend(chart: Rendering, { from, service, port }: Backend): string[] {
  if (!chart.has("Service", service)) return missing(true, from, `Service ${service}`);
  const ports = chart.one("Service", service).spec.ports as { name: string; port: number }[];
  return missing(!ports.some((known) => known.name === port.name || known.port === port.number), from, `that port of Service ${service}`);
}

function listOfAutoscaler(chart: Rendering, { kind, metadata, spec }: any): string[] {
  const owner = `${kind} ${metadata.name}`;
  const { kind: targetKind = "Deployment", name } = spec.scaleTargetRef;
  const authentications: any[] = (spec.triggers ?? []).flatMap(({ authenticationRef }: any) => authenticationRef ?? []);
  return [
    ...missing(!chart.has(targetKind, name), owner, `${targetKind} ${name}`),
    ...authentications.flatMap((reference) =>
      missing(!chart.has("TriggerAuthentication", reference.name), owner, `TriggerAuthentication ${reference.name}`),
    ),
  ];
}

function podsWith(chart: Rendering, selector: Parameters<typeof isSelected>[0]): PodTemplate[] {
  return chart.pods.map(({ pod }) => pod).filter(({ metadata }) => isSelected(selector, metadata?.labels));
}

/** By name and by number. */
function portsOf(pods: readonly PodTemplate[]): (string | number | undefined)[] {
  return pods.flatMap(({ spec }) =>
    (spec?.containers ?? []).flatMap(({ ports = [] }) => ports.flatMap(({ name, containerPort }) => [name, containerPort])),
  );
}

function missing(isMissing: boolean, from: string, what: string): string[] {
  return isMissing ? [`${from} names ${what}, which is not there`] : [];
}
