import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { type Caller, type CallerOptions, createCaller } from "./call.ts";
import { createNetworkGuard } from "./network-guard.ts";
import { HostNotResolvedError, type ResolvedAddress, resolveAsTheMachine } from "./resolve-host.ts";
import { listenOnLoopback, type LoopbackServer } from "./testing/loopback.ts";
import { signedRequest } from "./testing/sample-request.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  // Last opened, first closed: callers before the servers they call.
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function httpServer(listener: RequestListener): Promise<LoopbackServer> {
  const server = await listenOnLoopback(createHttpServer(listener));
  opened.push(server);
  return server;
}

/** A server below HTTP: `answer` gets the connection once the head of a request has arrived. */
async function tcpServer(answer: (socket: Socket) => void): Promise<LoopbackServer> {
  const server = await listenOnLoopback(createTcpServer((socket) => socket.once("data", () => answer(socket))));
  opened.push(server);
  return server;
}

function caller(changes: Partial<CallerOptions> = {}): Caller {
  const made = createCaller({
    guard: createNetworkGuard({ allowPrivateTargets: true }),
    resolve: resolveAsTheMachine,
    clock: { now: () => 1_700_000_000_000, monotonic: () => performance.now() },
    connectionsPerOriginMax: 10,
    ...changes,
  });
  opened.push(made);
  return made;
}

const resolveNothing = (host: string) => Promise.reject(new HostNotResolvedError(`${host} has no address`));

const requestTo = ({ port }: { port: number }, timeoutMs = 10_000, changes: Parameters<typeof signedRequest>[0] = {}) =>
  signedRequest({ ...changes, endpoint: { baseUrl: `http://127.0.0.1:${port}/hook`, timeoutMs, ...changes.endpoint } });

test("a 2xx answer is a response with its status, excerpt and times", async () => {
  const server = await httpServer((_request, response) =>
    response.writeHead(202, { "Retry-After": "7", "Webhook-Delivery": "disable" }).end("accepted"),
  );
  const result = await caller().call(requestTo(server));
  expect(result).toEqual({
    kind: "response",
    status: 202,
    excerpt: "accepted",
    isCut: false,
    retryAfter: "7",
    webhookDelivery: "disable",
    startedAtMs: 1_700_000_000_000,
    durationMs: expect.any(Number),
  });
});

test("exactly the signed bytes and headers are on the wire, once, over HTTP/1.1 and without asking for compression", async () => {
  let wire = "";
  const server = await listenOnLoopback(
    createTcpServer((socket) =>
      socket.on("data", (chunk) => {
        wire += chunk.toString("latin1");
        if (wire.endsWith(body)) socket.end("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
      }),
    ),
  );
  opened.push(server);
  const request = requestTo(server, 10_000, {
    input: { text: "naïve ✓" },
    endpoint: { compatSignatures: true, headers: { "X-Mine": "yes" } },
  });
  const body = request.body.toString("latin1");
  expect(await caller().call(request)).toMatchObject({ status: 204 });
  const [head = "", sent] = wire.split("\r\n\r\n");
  expect(sent).toBe(body);
  const [line, ...lines] = head.split("\r\n");
  expect(line).toBe("POST /hook HTTP/1.1");
  expect(new Set(lines)).toEqual(
    new Set([
      `host: 127.0.0.1:${server.port}`,
      "connection: keep-alive",
      ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${request.body.length}`,
    ]),
  );
  expect(lines).toContain("accept-encoding: identity");
  expect(lines).toContain("x-mine: yes");
});

test.each([400, 404, 410, 429, 500, 503])("a %i answer is a response, not a failure of the call", async (status) => {
  const server = await httpServer((_request, response) => response.writeHead(status).end("no"));
  expect(await caller().call(requestTo(server))).toMatchObject({ kind: "response", status, excerpt: "no" });
});

test.each([301, 302, 303, 307, 308])("a %i redirect is the answer and is not followed (rule W11)", async (status) => {
  const elsewhere = await httpServer((_request, response) => response.end());
  const server = await httpServer((_request, response) =>
    response.writeHead(status, { Location: `http://127.0.0.1:${elsewhere.port}/` }).end(),
  );
  expect(await caller().call(requestTo(server))).toMatchObject({ kind: "response", status });
  expect(elsewhere.connections).toBe(0);
});

test("an interim 103 answer is not the answer", async () => {
  const server = await httpServer((_request, response) => {
    response.writeEarlyHints({ link: "</a>; rel=preload" });
    response.writeHead(201).end();
  });
  expect(await caller().call(requestTo(server))).toMatchObject({ kind: "response", status: 201 });
});

test("a 2xx body without end is read up to the limit, is a success, and its connection is closed (rule W9)", async () => {
  let written = 0;
  const server = await httpServer((_request, response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(16 * 1024, "x");
    const pump = () => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length;
    };
    response.on("drain", pump);
    pump();
  });
  const result = await caller().call(requestTo(server));
  expect(result).toMatchObject({ kind: "response", status: 200, isCut: true, excerpt: "x".repeat(2_048) });
  await server.closed(1);
  expect(written).toBeLessThan(32 * 1024 * 1024);
});

test("a body of exactly the limit is whole, and one byte more is cut", async () => {
  let size = 64 * 1024;
  const server = await httpServer((_request, response) => response.end("x".repeat(size)));
  const made = caller({ excerptBytesMax: 99_999 });
  const whole = await made.call(requestTo(server));
  expect(whole).toMatchObject({ isCut: false });
  // However much is asked for, no more than 16 KiB are kept.
  expect(whole.kind === "response" && whole.excerpt.length).toBe(16 * 1024);
  size += 1;
  expect(await made.call(requestTo(server))).toMatchObject({ kind: "response", isCut: true });
});

test("one byte at a time does not stretch the deadline (rule W8)", async () => {
  const server = await httpServer((_request, response) => {
    response.writeHead(200);
    const drip = setInterval(() => response.write("."), 5);
    response.once("close", () => clearInterval(drip));
  });
  expect(await caller().call(requestTo(server, 300))).toMatchObject({ kind: "failure", code: "body_too_slow", status: 200, wasSent: true });
  await server.closed(1);
});

test("a refusal whose body never ends keeps its status", async () => {
  const server = await httpServer((_request, response) => response.writeHead(410).write("gone for"));
  expect(await caller().call(requestTo(server, 300))).toMatchObject({ kind: "response", status: 410, excerpt: "gone for", isCut: true });
});

test("a target that never answers times out at the whole call's deadline, and its connection is closed", async () => {
  const server = await httpServer(() => {});
  expect(await caller().call(requestTo(server, 80))).toMatchObject({ kind: "failure", code: "timeout", status: null, wasSent: true });
  await server.closed(1);
});

test("headers that come too late time out before the whole call does; bytes of headers do not stretch it", async () => {
  const server = await tcpServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nX-Slow: ");
    const drip = setInterval(() => socket.write("."), 5);
    socket.once("close", () => clearInterval(drip));
  });
  const result = await caller({ headersTimeoutMs: 80 }).call(requestTo(server, 20_000));
  expect(result).toMatchObject({ kind: "failure", code: "timeout", detail: expect.stringContaining("no response headers") });
});

test("a body may take longer than the headers may, up to the whole call's deadline", async () => {
  const server = await httpServer((_request, response) => {
    response.writeHead(200).write("slow ");
    setTimeout(() => response.end("but whole"), 400);
  });
  expect(await caller({ headersTimeoutMs: 300 }).call(requestTo(server, 20_000))).toMatchObject({
    kind: "response",
    excerpt: "slow but whole",
  });
});

test("a connection reset before, in and after the headers is a reset", async () => {
  const beginnings = ["", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"];
  for (const beginning of beginnings) {
    const server = await tcpServer((socket) =>
      beginning === "" ? socket.resetAndDestroy() : socket.write(beginning, () => socket.resetAndDestroy()),
    );
    expect(await caller().call(requestTo(server))).toMatchObject({ kind: "failure", code: "reset", wasSent: true });
  }
});

test("a body that ends short of its announced length is a reset, not a success", async () => {
  const server = await tcpServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf"));
  expect(await caller().call(requestTo(server))).toMatchObject({ kind: "failure", code: "reset", status: 200 });
});

test("what is not HTTP, and headers without end, are an invalid response", async () => {
  const garbage = await tcpServer((socket) => socket.end("220 mail.example.com ESMTP\r\n"));
  expect(await caller().call(requestTo(garbage))).toMatchObject({ kind: "failure", code: "invalid_response" });
  const endless = await tcpServer((socket) => socket.write(`HTTP/1.1 200 OK\r\n${`X-Filler: ${"x".repeat(1000)}\r\n`.repeat(40)}`));
  expect(await caller().call(requestTo(endless))).toMatchObject({ kind: "failure", code: "invalid_response" });
});

test("a port nobody listens on is refused, and a name nobody has is a DNS failure; nothing was sent", async () => {
  const server = await httpServer(() => {});
  await opened.pop()?.close();
  expect(await caller().call(requestTo(server))).toMatchObject({ kind: "failure", code: "refused", wasSent: false });
  const request = signedRequest({ endpoint: { baseUrl: "http://internal.example/" } });
  expect(await caller({ resolve: resolveNothing }).call(request)).toMatchObject({ kind: "failure", code: "dns", wasSent: false });
});

test("the deadline also holds while a connection is being made, and a call given up by then is never sent", async () => {
  const paths: string[] = [];
  const server = await httpServer((request, response) => {
    paths.push(request.url ?? "");
    response.end();
  });
  const resolving: ((addresses: readonly ResolvedAddress[]) => void)[] = [];
  const made = caller({ resolve: () => new Promise((resolve) => resolving.push(resolve)), connectionsPerOriginMax: 1 });
  const to = (path: string, timeoutMs: number) =>
    made.call(
      signedRequest({ target: { type: "http", path }, endpoint: { baseUrl: `http://slow-dns.example:${server.port}`, timeoutMs } }),
    );
  expect(await to("/given-up", 40)).toMatchObject({ kind: "failure", code: "timeout", wasSent: false });
  const next = to("/wanted", 10_000);
  resolving[0]?.([{ address: "127.0.0.1", family: 4 }]);
  expect(await next).toMatchObject({ kind: "response", status: 200 });
  expect(paths).toEqual(["/wanted"]);
  // The connection made for the call that was given up served the next one.
  expect(server.connections).toBe(1);
});

test("the deadline also holds while all connections to an origin are busy, and a call given up by then is never sent", async () => {
  const paths: string[] = [];
  const held: (() => void)[] = [];
  const server = await httpServer((request, response) => {
    paths.push(request.url ?? "");
    if (request.url === "/hook/first") held.push(() => response.end());
    else response.end();
  });
  const made = caller({ connectionsPerOriginMax: 1 });
  const to = (path: string, timeoutMs: number) => made.call(requestTo(server, timeoutMs, { target: { type: "http", path } }));
  const first = to("/first", 10_000);
  const given = to("/given-up", 60);
  const last = to("/last", 10_000);
  expect(await given).toMatchObject({
    kind: "failure",
    code: "timeout",
    wasSent: false,
    detail: expect.stringContaining("waiting for a connection"),
  });
  held[0]?.();
  expect(await first).toMatchObject({ status: 200 });
  expect(await last).toMatchObject({ status: 200 });
  expect(paths).toEqual(["/hook/first", "/hook/last"]);
});

test("no more connections to one origin are open than its cap", async () => {
  const server = await httpServer((_request, response) => response.end());
  const made = caller({ connectionsPerOriginMax: 3 });
  await Promise.all(Array.from({ length: 30 }, () => made.call(requestTo(server))));
  expect(server.connections).toBeLessThanOrEqual(3);
});

test("a connection is used again after a whole answer, and not after one that was cut", async () => {
  let size = 10;
  const server = await httpServer((_request, response) => response.end(Buffer.alloc(size)));
  const made = caller({ connectionsPerOriginMax: 1 });
  await made.call(requestTo(server));
  await made.call(requestTo(server));
  expect(server.connections).toBe(1);
  size = 1_000_000;
  await made.call(requestTo(server));
  await made.call(requestTo(server));
  expect(server.connections).toBe(2);
});

test("the excerpt is text that can be stored: invalid bytes replaced, NUL removed, no character cut in half", async () => {
  let body = Buffer.from([0x61, 0x00, 0xff, 0x62]);
  const server = await httpServer((_request, response) => response.end(body));
  const made = caller({ excerptBytesMax: 10 });
  expect(await made.call(requestTo(server))).toMatchObject({ excerpt: "a\u{FFFD}b" });
  body = Buffer.from("漢字漢字漢字");
  expect(await made.call(requestTo(server))).toMatchObject({ excerpt: "漢字漢" });
  body = Buffer.alloc(1000, 0xff);
  expect(await made.call(requestTo(server))).toMatchObject({ excerpt: "\u{FFFD}\u{FFFD}\u{FFFD}" });
});

test("secrets of the request that a target echoes are blotted out of the excerpt, at its edge too", async () => {
  const server = await httpServer((request, response) => response.end(`${"-".repeat(30)} you sent ${request.headers.authorization}!`));
  const request = requestTo(server, 10_000, { endpoint: { headers: { Authorization: "Bearer canary-canary-canary" } } });
  for (const excerptBytesMax of [40, 50, 60, 2_048]) {
    const result = await caller({ excerptBytesMax }).call(request);
    expect(result.kind === "response" && result.excerpt).not.toMatch(/canary|Bearer/);
  }
});

test("a compressed answer is not unpacked: there is no bomb to open", async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const server = await httpServer((_request, response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(bomb));
  const result = await caller().call(requestTo(server));
  expect(result.kind === "response" && result.excerpt.length).toBeLessThan(2_048);
});

test("a signal gives the call up at once, before and after it was sent", async () => {
  const server = await httpServer(() => aborting.abort());
  const aborting = new AbortController();
  const made = caller();
  expect(await made.call(requestTo(server), aborting.signal)).toMatchObject({ kind: "failure", code: "aborted", wasSent: true });
  await server.closed(1);
  expect(await made.call(requestTo(server), aborting.signal)).toMatchObject({ kind: "failure", code: "aborted", wasSent: false });
  expect(server.connections).toBe(1);
});

test("close waits for the calls under way, closes their connections and answers later calls `aborted`", async () => {
  const held: (() => void)[] = [];
  const server = await httpServer((_request, response) => held.push(() => response.end("done")));
  const made = caller();
  const underWay = made.call(requestTo(server));
  while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const closing = made.close();
  expect(await made.call(requestTo(server))).toMatchObject({ kind: "failure", code: "aborted", wasSent: false });
  held[0]?.();
  expect(await underWay).toMatchObject({ kind: "response", excerpt: "done" });
  await closing;
  await server.closed(1);
});

test("a peer that hangs up as the connection is made is a reset, never `blocked`", async () => {
  const server = createTcpServer((socket) => socket.resetAndDestroy());
  const listening = await listenOnLoopback(server);
  opened.push(listening);
  const made = caller();
  const results = await Promise.all(Array.from({ length: 10 }, () => made.call(requestTo(listening))));
  expect(new Set(results.map((result) => result.kind === "failure" && result.code))).toEqual(new Set(["reset"]));
  expect(server.listening).toBe(true);
});

test("a GET is sent without body and content type", async () => {
  const server = await httpServer((request, response) => {
    const seen = {
      method: request.method,
      url: request.url,
      type: request.headers["content-type"],
      length: request.headers["content-length"],
    };
    void once(request.resume(), "end").then(() => response.end(JSON.stringify(seen)));
  });
  const result = await caller().call(requestTo(server, 10_000, { target: { type: "http", method: "GET", path: "?a=1" } }));
  expect(result).toMatchObject({ excerpt: JSON.stringify({ method: "GET", url: "/hook?a=1" }) });
});
