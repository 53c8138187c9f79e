/**
 * A tenant's webhook for the end-to-end tests, as a process on this machine or as a pod. It verifies nothing: it remembers every call, so that the test can judge them all afterwards.
 *
 *   GET /calls?after=N           the calls after the first N, at most 2,000 at once: {"calls": [...], "total": N}
 *   anything else, ?delay_ms=N   is remembered when its body has arrived, and answered 204 after N ms
 *
 * `PORT` (0, the default: a free one) and `HOST` (default 127.0.0.1) say where it listens; the first line of output is its URL.
 */
import { createServer } from "node:http";

const callsPerAnswer = 2_000;
const kept = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-scheduled-for", "x-attempt"];
const calls = [];

const server = createServer(async (request, response) => {
  const atMs = Date.now();
  const url = new URL(request.url, "http://receiver");
  if (request.method === "GET" && url.pathname === "/calls") {
    const after = Number(url.searchParams.get("after") ?? 0);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ calls: calls.slice(after, after + callsPerAnswer), total: calls.length }));
    return;
  }
  const body = Buffer.concat(await request.toArray()).toString("utf8");
  const headers = Object.fromEntries(kept.map((name) => [name, request.headers[name] ?? ""]));
  calls.push({ path: url.pathname, atMs, headers, body });
  setTimeout(() => response.writeHead(204).end(), Number(url.searchParams.get("delay_ms") ?? 0));
});
// Executors keep their connections; one that the receiver closed first would look like a failed call.
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT ?? 0), process.env.HOST ?? "127.0.0.1", () => {
  const { address, port } = server.address();
  process.stdout.write(`http://${address}:${port}\n`);
});
process.once("SIGTERM", () => process.exit(0));
