import { connect, createServer, type Server, type Socket } from "node:net";

/** A way to a server, which a test can cut. */
export interface Link {
  readonly port: number;
  /** Ends every connection and refuses new ones. */
  cut(): void;
  mend(): Promise<void>;
}

/** A loopback port whose connections lead to `host:port`. */
export async function startLink({ host, port: target }: { host: string; port: number }): Promise<Link> {
  const sockets = new Set<Socket>();
  const open = (port: number): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer((near) => {
        const far = connect({ host, port: target });
        for (const [from, to] of [
          [near, far],
          [far, near],
        ] as const) {
          sockets.add(from);
          from.on("error", () => {}).on("close", () => to.destroy());
          from.pipe(to);
        }
      });
      server.listen(port, "127.0.0.1", () => resolve(server));
    });
  let server = await open(0);
  const { port } = server.address() as { port: number };
  return {
    port,
    cut() {
      server.close();
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    async mend() {
      server = await open(port);
    },
  };
}
