import { expect, test } from "vitest";
import { mayEnter, mayReach, podsOf } from "./network-policies.ts";
import { bundled, onAws, render } from "./render-chart.ts";

const roles = ["schedule-dispatcher", "schedule-executor", "downbeat-api"];
const stranger = { labels: { app: "stranger" } };
const foreign = { labels: { app: "stranger" }, namespace: { "kubernetes.io/metadata.name": "elsewhere" } };
const dns = { labels: { "k8s-app": "kube-dns" }, namespace: { "kubernetes.io/metadata.name": "kube-system" } };
const publicV4 = { ip: "93.184.215.14" };
const publicV6 = { ip: "2600:1406:bc00:53::b81e:94ce" };

/** Rule S6 and what the cloud hides behind addresses of its own: metadata services, pods, nodes, other people's networks. */
const forbidden = [
  "10.0.0.1",
  "10.96.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "100.64.0.1",
  "100.127.255.254",
  "169.254.169.254",
  "169.254.170.2",
  "127.0.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::ffff:10.0.0.1",
  "fd00:ec2::254",
  "fe80::1",
  "ff02::1",
  "64:ff9b::a00:1",
  "2002:a00:1::1",
];

test("S6: executors reach endpoints on public addresses, and no private, link-local, shared or reserved one on any port a tenant can name", async () => {
  const chart = await render(onAws);
  for (const peer of [publicV4, publicV6])
    for (const port of [443, 8443, 65535])
      expect([peer, port, mayReach(chart, "schedule-executor", peer, { port })]).toEqual([peer, port, true]);
  const open = forbidden.filter((ip) =>
    [80, 443, 8080, 6443, 10250].some((port) => mayReach(chart, "schedule-executor", { ip }, { port })),
  );
  expect(open).toEqual([]);
});

test("S6: endpoints are called over TCP only", async () => {
  expect(mayReach(await render(onAws), "schedule-executor", publicV4, { port: 443, protocol: "UDP" })).toBe(false);
});

test("S6: addresses that an installation denies or allows are denied or allowed for executors", async () => {
  const values = { ...onAws, networkPolicy: { executor: { deniedCidrs: ["93.184.215.0/24"], allowedCidrs: ["10.20.0.0/16"] } } };
  const chart = await render(values);
  expect(mayReach(chart, "schedule-executor", publicV4, { port: 443 })).toBe(false);
  expect(mayReach(chart, "schedule-executor", { ip: "10.20.1.1" }, { port: 443 })).toBe(true);
  expect(mayReach(chart, "schedule-executor", { ip: "10.21.1.1" }, { port: 443 })).toBe(false);
});

test("K2: dispatcher and API reach DNS, Postgres and the queue on their ports, and nothing else", async () => {
  const chart = await render(onAws);
  for (const app of ["schedule-dispatcher", "downbeat-api"]) {
    expect(mayReach(chart, app, dns, { port: 53, protocol: "UDP" })).toBe(true);
    expect(mayReach(chart, app, { ip: "10.0.0.5" }, { port: 5432 })).toBe(true);
    expect(mayReach(chart, app, publicV4, { port: 443 })).toBe(true);
    for (const port of [80, 8080, 22]) expect([app, port, mayReach(chart, app, publicV4, { port })]).toEqual([app, port, false]);
    expect(mayReach(chart, app, { ip: "169.254.169.254" }, { port: 80 })).toBe(false);
  }
});

test("K2: given addresses narrow Postgres and the queue for every role", async () => {
  const networkPolicy = { database: { cidrs: ["10.1.0.0/24"] }, queue: { cidrs: ["10.2.0.0/24"] } };
  const chart = await render({ ...onAws, networkPolicy });
  for (const app of roles) {
    expect(mayReach(chart, app, { ip: "10.1.0.9" }, { port: 5432 })).toBe(true);
    expect(mayReach(chart, app, { ip: "10.9.0.9" }, { port: 5432 })).toBe(false);
    expect(mayReach(chart, app, { ip: "10.2.0.9" }, { port: 443 })).toBe(true);
  }
  expect(mayReach(chart, "schedule-dispatcher", publicV4, { port: 443 })).toBe(false);
});

test("K2: the bundled Postgres and queue are reached by the roles that need them, reach nothing themselves, and nobody else comes in", async () => {
  const chart = await render(bundled);
  const doors = { postgresql: 5432, localstack: 4566 };
  for (const [app, port] of Object.entries(doors)) {
    for (const role of roles) {
      expect(mayReach(chart, role, podsOf(chart, app), { port })).toBe(true);
      expect(mayEnter(chart, app, podsOf(chart, role), { port })).toBe(true);
    }
    expect(mayEnter(chart, app, stranger, { port })).toBe(false);
    expect(mayReach(chart, app, publicV4, { port: 443 })).toBe(false);
  }
  expect(mayReach(chart, "downbeat-migrate", podsOf(chart, "postgresql"), { port: 5432 })).toBe(true);
  expect(mayEnter(chart, "postgresql", podsOf(chart, "downbeat-migrate"), { port: 5432 })).toBe(true);
});

test("K2: the API is called from its own namespace until someone is named, and then by those", async () => {
  const chart = await render(onAws);
  expect(mayEnter(chart, "downbeat-api", stranger, { port: 4600 })).toBe(true);
  expect(mayEnter(chart, "downbeat-api", foreign, { port: 4600 })).toBe(false);
  const gateway = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "elsewhere" } } };
  const behindGateway = await render({ ...onAws, networkPolicy: { api: { from: [gateway] } } });
  expect(mayEnter(behindGateway, "downbeat-api", foreign, { port: 4600 })).toBe(true);
  expect(mayEnter(behindGateway, "downbeat-api", stranger, { port: 4600 })).toBe(false);
});

test("K2: the metrics port is closed until a scraper is named, and nothing but it opens on dispatchers and executors", async () => {
  const prometheus = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "elsewhere" } } };
  const closed = await render(onAws);
  const scraped = await render({ ...onAws, dispatcher: { mode: "deployment" }, networkPolicy: { metrics: { from: [prometheus] } } });
  for (const app of roles) {
    expect(mayEnter(closed, app, foreign, { port: 9464 })).toBe(false);
    expect(mayEnter(closed, app, stranger, { port: 9464 })).toBe(false);
    expect(mayEnter(scraped, app, foreign, { port: 9464 })).toBe(true);
    expect(mayEnter(scraped, app, foreign, { port: 8080 })).toBe(false);
  }
});

test("The chart's own test reaches the API", async () => {
  const chart = await render(onAws);
  expect(mayReach(chart, "downbeat-test", podsOf(chart, "downbeat-api"), { port: 4600 })).toBe(true);
  expect(mayEnter(chart, "downbeat-api", podsOf(chart, "downbeat-test"), { port: 4600 })).toBe(true);
});
