/** What NetworkPolicies let through, as the API describes it: policies only ever add up, and a pod that none selects may do anything. */
import { BlockList, isIPv6 } from "node:net";
import { isSelected, type Rendering, type Selector } from "./render-chart.ts";

/** The other end: an address outside the cluster, or a pod. A pod without `namespace` is in the release's own. */
export type Peer = { ip: string } | { labels: Record<string, string>; namespace?: Record<string, string> };

export interface Door {
  port: number;
  /** Default TCP. */
  protocol?: "TCP" | "UDP";
}

/** Whether the pods of a role may open a connection to the peer. */
export function mayReach(chart: Rendering, app: string, peer: Peer, door: Door): boolean {
  return isAllowed(chart, app, "Egress", peer, door);
}

/** Whether the peer may open a connection to the pods of a role. */
export function mayEnter(chart: Rendering, app: string, peer: Peer, door: Door): boolean {
  return isAllowed(chart, app, "Ingress", peer, door);
}

/** The labels of a role's pods in this rendering, as the other end of a connection. */
export function podsOf(chart: Rendering, app: string): Peer {
  return { labels: chart.pod(app).metadata?.labels ?? {} };
}

function isAllowed(chart: Rendering, app: string, direction: "Egress" | "Ingress", peer: Peer, door: Door): boolean {
  const labels = chart.pod(app).metadata?.labels ?? {};
  const policies = chart
    .all("NetworkPolicy")
    .filter(({ spec }) => spec.policyTypes.includes(direction) && isSelected(spec.podSelector, labels));
  if (policies.length === 0) return true;
  const rules = policies.flatMap(({ spec }) => (direction === "Egress" ? spec.egress : spec.ingress) ?? []);
  return rules.some((rule) => isPortOpen(rule.ports, door) && isPeerNamed(direction === "Egress" ? rule.to : rule.from, peer));
}

function isPortOpen(ports: { protocol?: string; port?: number; endPort?: number }[] | undefined, door: Door): boolean {
  if (ports === undefined) return true;
  return ports.some(({ protocol = "TCP", port, endPort = port }) => {
    if (protocol !== (door.protocol ?? "TCP")) return false;
    return port === undefined || (door.port >= port && door.port <= (endPort ?? port));
  });
}

interface PeerRule {
  ipBlock?: { cidr: string; except?: string[] };
  podSelector?: Selector;
  namespaceSelector?: Selector;
}

function isPeerNamed(rules: PeerRule[] | undefined, peer: Peer): boolean {
  if (rules === undefined || rules.length === 0) return true;
  return rules.some(({ ipBlock, podSelector, namespaceSelector }) => {
    if ("ip" in peer)
      return ipBlock !== undefined && holds(ipBlock.cidr, peer.ip) && !(ipBlock.except ?? []).some((cidr) => holds(cidr, peer.ip));
    if (ipBlock !== undefined) return false;
    const isInNamespace =
      namespaceSelector === undefined ? peer.namespace === undefined : isSelected(namespaceSelector, peer.namespace ?? {});
    return isInNamespace && isSelected(podSelector ?? {}, peer.labels);
  });
}

function holds(cidr: string, ip: string): boolean {
  const [network = "", bits = ""] = cidr.split("/");
  if (isIPv6(network) !== isIPv6(ip)) return false;
  const family = isIPv6(ip) ? "ipv6" : "ipv4";
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(ip, family);
}
