import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";

export interface ReceivedCall {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** Wall-clock milliseconds when the head of the request had arrived. */
  atMs: number;
}

export interface Receiver {
  readonly url: string;
  readonly calls: readonly ReceivedCall[];
  /** Resolves as soon as `count` calls have arrived. */
  received(count: number): Promise<readonly ReceivedCall[]>;
  close(): Promise<void>;
}

type Answer = (call: ReceivedCall, response: ServerResponse, callNumber: number) => void;

/** A real HTTP server in the part of a tenant's webhook. Answers 204 unless told otherwise; `callNumber` counts from 1. */
export async function startReceiver(answer: Answer = (_call, response) => response.writeHead(204).end()): Promise<Receiver> {
  const calls: ReceivedCall[] = [];
  const waiting: { count: number; resolve: (calls: readonly ReceivedCall[]) => void }[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const atMs = Date.now();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const call: ReceivedCall = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
        atMs,
      };
      calls.push(call);
      answer(call, response, calls.length);
      for (const waiter of waiting.filter(({ count }) => calls.length >= count)) waiter.resolve(calls);
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address !== null && typeof address === "object") resolve(address.port);
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    received: (count) => (calls.length >= count ? Promise.resolve(calls) : new Promise((resolve) => waiting.push({ count, resolve }))),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
