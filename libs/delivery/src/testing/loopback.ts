import type { AddressInfo, Server, Socket } from "node:net";

export interface LoopbackServer {
  readonly port: number;
  /** How many TCP connections were accepted so far. */
  readonly connections: number;
  /** Resolves when the given number of accepted connections has been closed again. */
  closed(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts a real server on a free port of 127.0.0.1 and counts what reaches it. */
export async function listenOnLoopback(server: Server): Promise<LoopbackServer> {
  const sockets = new Set<Socket>();
  const waiting: { count: number; resolve: () => void }[] = [];
  let accepted = 0;
  let closed = 0;
  server.on("connection", (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    // Clients under test hang up in every possible way.
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      closed += 1;
      for (const { resolve } of waiting.filter(({ count }) => closed >= count)) resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return accepted;
    },
    closed: (count) => (closed >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve }))),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
