/**
 * The receiving end of a bench, as a process of its own: answers 204 after `DELAY_MS` and keeps when each call's head arrived. Tells its parent its port,
 * `{ delivered }` as calls come in, and everything it kept when asked.
 */
import { createServer } from "node:http";

const delayMs = Number(process.env["DELAY_MS"] ?? "0");
const ids: string[] = [];
const lagsMs: number[] = [];
let lastAtMs = 0;

const server = createServer((request, response) => {
  const atMs = performance.timeOrigin + performance.now();
  ids.push(String(request.headers["webhook-id"]));
  lagsMs.push(atMs - Date.parse(String(request.headers["x-scheduled-for"])));
  lastAtMs = atMs;
  const answer = () => response.writeHead(204).end();
  request.resume().on("end", () => (delayMs > 0 ? setTimeout(answer, delayMs) : answer()));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.({ port: address !== null && typeof address === "object" ? address.port : 0 });
});
setInterval(() => process.send?.({ delivered: ids.length }), 50).unref();
process.on("message", () => process.send?.({ distinct: new Set(ids).size, calls: ids.length, lagsMs, lastAtMs }));
process.on("disconnect", () => process.exit());
