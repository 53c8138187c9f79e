import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Webhook } from "standardwebhooks";
import { printable } from "../printable.ts";

export interface SampleReceiver {
  readonly url: string;
  close(): Promise<void>;
}

export interface SampleReceiverOptions {
  port: number;
  /** The endpoint's signing secret, `whsec_…`. */
  secret: string;
  /** The name of a schedule, for the line that is printed; undefined when nobody knows. */
  nameOf(scheduleId: string): Promise<string | undefined>;
  print(line: string): void;
}

/** Downbeat sends at most 256 KiB (rule W10); more than that is somebody else. */
const bodyBytesMax = 512 * 1024;

/**
 * A tenant's webhook in its smallest honest form: it believes a call only when the stock `standardwebhooks` library does, and says for each one what came. Calls
 * that do not verify are refused with 401 and reported loudly, because with Downbeat alone calling there must be none.
 */
export async function startSampleReceiver({ port, secret, nameOf, print }: SampleReceiverOptions): Promise<SampleReceiver> {
  const webhook = new Webhook(secret);
  const server = createServer((request, response) => {
    const atMs = Date.now();
    void readBody(request).then(
      (body) => answer({ request, response, body, atMs, webhook, nameOf, print }),
      () => response.destroy(),
    );
  });
  const listening = await listen(server, port);
  return { url: `http://127.0.0.1:${listening}`, close: () => close(server) };
}

interface Call extends Pick<SampleReceiverOptions, "nameOf" | "print"> {
  request: IncomingMessage;
  response: ServerResponse;
  body: string;
  /** When the head of the request had arrived. */
  atMs: number;
  webhook: Webhook;
}

async function answer({ request, response, body, atMs, webhook, nameOf, print }: Call): Promise<void> {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  try {
    webhook.verify(body, headers, { jsonParse: false });
  } catch (error) {
    response.writeHead(401).end();
    print(
      `NOT VERIFIED: ${request.method} ${request.url} was refused: ${(error as Error).message}. Its sender does not hold the endpoint's secret.`,
    );
    return;
  }
  response.writeHead(204).end();
  const scheduleId = headers["x-schedule-id"] ?? "";
  const name = await nameOf(scheduleId).catch(() => undefined);
  print(describeCall({ schedule: name ?? scheduleId, headers, atMs }));
}

/** One line for an accepted call. The lag is from the planned instant to the arrival of the request's head. */
export function describeCall(call: { schedule: string; headers: Readonly<Record<string, string>>; atMs: number }): string {
  const scheduledFor = call.headers["x-scheduled-for"] ?? "";
  const lagMs = call.atMs - Date.parse(scheduledFor);
  const attempt = Number(call.headers["x-attempt"] ?? 1);
  return [
    `verified  ${call.schedule === "" ? "a call" : printable(call.schedule)}`,
    `for ${scheduledFor === "" ? "an unknown instant" : scheduledFor}`,
    `lag ${Number.isNaN(lagMs) ? "unknown" : `${lagMs} ms`}`,
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
    `webhook-id ${call.headers["webhook-id"] ?? ""}`,
  ].join("  ");
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > bodyBytesMax) request.destroy(new Error("body too large"));
      else chunks.push(chunk);
    });
    request.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.once("error", reject);
    request.once("close", () => reject(new Error("closed")));
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      if (address !== null && typeof address === "object") resolve(address.port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
