import { request } from "node:http";
import { connect } from "node:net";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { afterEach, describe, expect, test } from "vitest";
import { type Liveness, type Operations, type OperationsOptions, startOperations } from "./operations-server.ts";

let operations: Operations | undefined;
afterEach(() => operations?.close());

async function start(options: Partial<OperationsOptions> = {}) {
  const { log, lines } = captureLog();
  const drain = new AbortController();
  const own = await startOperations({
    host: "127.0.0.1",
    port: 0,
    log,
    metrics: async () => ({ contentType: "text/plain; version=0.0.4", text: "downbeat_x 1\n" }),
    liveness: () => ({ isAlive: true, reason: "receiving" }),
    draining: drain.signal,
    ...options,
  });
  operations = own;
  const ask = async (path: string, method = "GET") => {
    const response = await fetch(`${own.url}${path}`, { method });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { own, drain, lines, ask };
}

/** A request that tells when it has left. */
function sendGet(url: string): { sent: Promise<void>; text: Promise<string> } {
  const outgoing = request(url);
  const text = new Promise<string>((resolve, reject) => {
    outgoing
      .once("error", reject)
      .once("response", (response) => response.toArray().then((chunks) => resolve(Buffer.concat(chunks).toString()), reject));
  });
  const sent = new Promise<void>((resolve) => outgoing.once("socket", (socket) => socket.once("connect", () => outgoing.end(resolve))));
  outgoing.flushHeaders();
  return { sent, text };
}

describe("routes", () => {
  test("/metrics is what the service tells, with its own content type", async () => {
    const { ask } = await start();
    const { status, headers, text } = await ask("/metrics?a=b");
    expect([status, headers.get("content-type"), text]).toEqual([200, "text/plain; version=0.0.4", "downbeat_x 1\n"]);
  });

  test("HEAD is answered as GET without its body, another method refused, another path unknown", async () => {
    const { ask } = await start();
    const head = await ask("/metrics", "HEAD");
    expect([head.status, head.headers.get("content-length"), head.text]).toEqual([200, "13", ""]);
    const post = await ask("/livez", "POST");
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    for (const path of ["/", "/health", "/metrics/", "/constructor"]) expect((await ask(path)).status).toBe(404);
  });

  test("metrics that cannot be collected are a 500 without the reason, which is in the log", async () => {
    const { ask, lines } = await start({ metrics: () => Promise.reject(new Error("postgres://user:secret@host is gone")) });
    const { status, text } = await ask("/metrics");
    expect(status).toBe(500);
    expect(text).not.toContain("secret");
    expect(lines).toContainEqual(expect.objectContaining({ level: "warn", msg: expect.stringContaining("/metrics") }));
    expect((await ask("/livez")).status).toBe(200);
  });

  test("scrapes at the same time are one collection, the next is another", async () => {
    let collections = 0;
    const asked = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    const { own, ask } = await start({
      metrics: async () => {
        collections += 1;
        asked.resolve();
        await told.promise;
        return { contentType: "text/plain", text: `${collections}` };
      },
    });
    const first = ask("/metrics");
    await asked.promise;
    const second = sendGet(`${own.url}/metrics`);
    await second.sent;
    // Sent after it, so the second scrape has arrived when this is answered.
    expect((await ask("/livez")).status).toBe(200);
    told.resolve();
    expect([(await first).text, await second.text]).toEqual(["1", "1"]);
    expect((await ask("/metrics")).text).toBe("2");
  });
});

describe("probes", () => {
  test("liveness is what the service says, with its reason", async () => {
    let liveness: Liveness = { isAlive: true, reason: "receiving" };
    const { ask } = await start({ liveness: () => liveness });
    expect(await ask("/livez")).toMatchObject({ status: 200, text: "receiving\n" });
    liveness = { isAlive: false, reason: "a receive loop has been silent for 121 s" };
    expect(await ask("/livez")).toMatchObject({ status: 503, text: "a receive loop has been silent for 121 s\n" });
  });

  test("a process is ready from its start to the first instant of the drain, and tells metrics on", async () => {
    const { own, drain, ask } = await start();
    expect(await ask("/readyz")).toMatchObject({ status: 503, text: "starting\n" });
    own.started();
    expect(await ask("/readyz")).toMatchObject({ status: 200, text: "ready\n" });
    drain.abort();
    expect(await ask("/readyz")).toMatchObject({ status: 503, text: "draining\n" });
    expect((await ask("/metrics")).status).toBe(200);
    expect((await ask("/livez")).status).toBe(200);
  });
});

describe("the port", () => {
  test("that is not given is not opened", async () => {
    const { own, lines } = await start({ port: undefined });
    expect(own.url).toBeUndefined();
    expect(lines).toEqual([]);
    own.started();
  });

  test("that is taken ends the start with a sentence that names the variable", async () => {
    const { own } = await start();
    const port = Number(new URL(own.url ?? "").port);
    await expect(
      startOperations({
        host: "127.0.0.1",
        port,
        log: captureLog().log,
        metrics: async () => ({ contentType: "", text: "" }),
        liveness: () => ({ isAlive: true, reason: "" }),
        draining: new AbortController().signal,
      }),
    ).rejects.toThrow(`port ${port} on 127.0.0.1 is taken by another process; set METRICS_PORT to a free one`);
  });

  test("is closed in time although a client keeps its connection open in the middle of a request", async () => {
    const { own } = await start();
    const socket = connect(Number(new URL(own.url ?? "").port), "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    socket.on("error", () => {}).write("GET /metrics HTTP/1.1\r\n");
    const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await own.close();
    await expect(gone).resolves.toBeUndefined();
  });
});
