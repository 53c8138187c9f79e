/** The embedded SQS server as a process of its own, counting requests by action, so that its work and its CPU are not the driver's. */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { startSqs } from "@downbeat/embedded/sqs.ts";

const requests: Record<string, number> = {};
subscribe("http.server.request.start", (message) => {
  const action = String((message as { request: IncomingMessage }).request.headers["x-amz-target"]).replace("AmazonSQS.", "");
  requests[action] = (requests[action] ?? 0) + 1;
});
const server = await startSqs({ port: 0 });
process.send?.({ endpoint: server.endpoint });
process.on("message", () => process.send?.({ requests }));
process.on("disconnect", () => process.exit());
