import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect as connectTcp, createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Caller, createCaller } from "./call.ts";
import type { CallResult } from "./call-in-flight.ts";
import { createNetworkGuard, type NetworkGuard } from "./network-guard.ts";
import type { ResolvedAddress } from "./resolve-host.ts";
import { listenOnLoopback, type LoopbackServer } from "./testing/loopback.ts";
import { signedRequest } from "./testing/sample-request.ts";
import { selfSignedCertificate } from "./testing/self-signed-certificate.ts";

const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const strict = createNetworkGuard({ allowPrivateTargets: false });
const v4 = (address: string): ResolvedAddress => ({ address, family: 4 });
const v6 = (address: string): ResolvedAddress => ({ address, family: 6 });

/** Stands for an internal service: nothing may ever reach it. */
let canary: LoopbackServer;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  canary = await listenOnLoopback(createServer());
  opened.push(canary);
});
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

interface Setup {
  guard?: NetworkGuard;
  addresses?: readonly ResolvedAddress[] | ((host: string) => readonly ResolvedAddress[]);
  certificateAuthorities?: string;
}

function caller({ guard = strict, addresses = [], certificateAuthorities }: Setup): Caller {
  const made = createCaller({
    guard,
    resolve: async (host) => (typeof addresses === "function" ? addresses(host) : addresses),
    clock,
    connectionsPerOriginMax: 10,
    ...(certificateAuthorities === undefined ? {} : { certificateAuthorities }),
  });
  opened.push(made);
  return made;
}

/** Calls as if the URL rules had let `baseUrl` through: what is under test is the last wall. */
const callUrl = (baseUrl: string, setup: Setup): Promise<CallResult> =>
  caller(setup).call(signedRequest({ endpoint: { baseUrl, timeoutMs: 5_000 } }));

const blocked = expect.objectContaining({ kind: "failure", code: "blocked", wasSent: false, status: null });

test("the canary of these tests sees a connection when one is made", async () => {
  const socket = connectTcp(canary.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.destroy();
  await canary.closed(1);
  expect(canary.connections).toBe(1);
});

test.each([
  "127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f000001",
  "0x7f.0.0.1",
  "0177.0.0.1",
  "127.0.0.1.",
  "①②⑦.0.0.1",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
])(
  "the address literal %s reaches nothing, over http and over https (rule S2: a lookup hook is not asked, a BlockList is ignored for https)",
  async (host) => {
    for (const scheme of ["http", "https"]) expect(await callUrl(`${scheme}://${host}:${canary.port}/`, {})).toEqual(blocked);
    expect(canary.connections).toBe(0);
  },
);

test.each([
  ["127.0.0.1", [v4("127.0.0.1")]],
  ["an IPv4-mapped loopback address", [v6("::ffff:127.0.0.1")]],
  ["::1", [v6("::1")]],
  ["a public and an internal address", [v4("93.184.215.14"), v4("127.0.0.1")]],
  ["a public A and an internal AAAA record", [v4("93.184.215.14"), v6("::1")]],
  ["an internal A and a public AAAA record", [v4("127.0.0.1"), v6("2606:2800:21f:cb07:6820:80da:af6b:8b2c")]],
  ["something that is no address", [v4("nonsense")]],
] as const)("a name that resolves to %s reaches nothing, over http and over https", async (_what, addresses) => {
  for (const scheme of ["http", "https"]) {
    expect(await callUrl(`${scheme}://innocent.example.com:${canary.port}/`, { addresses })).toEqual(blocked);
  }
  expect(canary.connections).toBe(0);
});

test("what a name meant at one connection does not count for the next: a rebinding name is refused at its second answer", async () => {
  const server = await listenOnLoopback(
    createHttpServer((_request, response) => response.setHeader("connection", "close").writeHead(204).end()),
  );
  opened.push(server);
  // Here 127.0.0.1 stands for a public address and 10.9.9.9 for an internal one.
  const guard: NetworkGuard = { allowPrivateTargets: false, isForbidden: (address) => address !== "127.0.0.1" };
  const answers = [[v4("127.0.0.1")], [v4("10.9.9.9")]];
  const asked: string[] = [];
  const made = caller({ guard, addresses: (host) => (asked.push(host), answers.shift() ?? []) });
  const request = signedRequest({ endpoint: { baseUrl: `http://rebinding.example.com:${server.port}/` } });

  // One question for one connection: there is no second look-up between checking and connecting.
  expect(await made.call(request)).toMatchObject({ kind: "response", status: 204 });
  expect(asked).toEqual(["rebinding.example.com"]);
  expect(await made.call(request)).toEqual(blocked);
  expect(asked).toHaveLength(2);
  expect(server.connections).toBe(1);
});

test("the address the connection really reached is judged again before anything is sent", async () => {
  let bytes = 0;
  const server = await listenOnLoopback(createServer((socket) => socket.on("data", (chunk) => (bytes += chunk.length))));
  opened.push(server);
  let verdicts = 0;
  const guard: NetworkGuard = { allowPrivateTargets: false, isForbidden: () => (verdicts += 1) > 1 };
  expect(await callUrl(`http://127.0.0.1:${server.port}/`, { guard })).toEqual(blocked);
  await server.closed(1);
  expect(bytes).toBe(0);
});

test("when an address refuses, the next checked one of the name is tried", async () => {
  const server = await listenOnLoopback(createHttpServer((_request, response) => response.writeHead(204).end()));
  opened.push(server);
  const guard = createNetworkGuard({ allowPrivateTargets: true });
  // Nothing listens on IPv6 here, whether the machine has it or not.
  expect(await callUrl(`http://two.example.com:${server.port}/`, { guard, addresses: [v6("::1"), v4("127.0.0.1")] })).toMatchObject({
    status: 204,
  });
});

test("over https the certificate must be trusted and carry the name of the URL, although the connection is made to an address", async () => {
  const { key, cert } = selfSignedCertificate("right.example.com");
  const server = await listenOnLoopback(createHttpsServer({ key, cert }, (request, response) => response.end(request.headers.host)));
  opened.push(server);
  const setup = { guard: createNetworkGuard({ allowPrivateTargets: true }), addresses: [v4("127.0.0.1")] };
  const trusting = { ...setup, certificateAuthorities: cert };

  const right = await callUrl(`https://right.example.com:${server.port}/`, trusting);
  expect(right).toMatchObject({ kind: "response", status: 200, excerpt: `right.example.com:${server.port}` });
  const refused = expect.objectContaining({ kind: "failure", code: "tls", wasSent: false });
  expect(await callUrl(`https://wrong.example.com:${server.port}/`, trusting)).toEqual(refused);
  expect(await callUrl(`https://127.0.0.1:${server.port}/`, trusting)).toEqual(refused);
  expect(await callUrl(`https://right.example.com:${server.port}/`, setup)).toEqual(refused);

  // There is no switch, not even Node's own (rule W19).
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  try {
    expect(await callUrl(`https://right.example.com:${server.port}/`, setup)).toEqual(refused);
  } finally {
    delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  }
});
