import { Server } from "node:net";
import { startFauxqs } from "fauxqs";

export interface EmbeddedSqs {
  /** Endpoint for the AWS SDK; any credentials are accepted. */
  readonly endpoint: string;
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * A server that speaks the SQS protocol, in this process, on the loopback interface only. With `dataDir` its messages survive a restart (SQLite). Port 0 takes a free one.
 */
export async function startSqs(options: { port: number; dataDir?: string }): Promise<EmbeddedSqs> {
  const server = await onLoopback(() =>
    startFauxqs({
      port: options.port,
      logger: false,
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    }),
  );
  return { endpoint: `http://127.0.0.1:${server.port}`, port: server.port, stop: () => server.stop() };
}

/** fauxqs always listens on every interface, and it asks nobody for credentials. While it starts, a wish for every interface is taken as one for loopback. */
async function onLoopback<Result>(start: () => Promise<Result>): Promise<Result> {
  const { listen } = Server.prototype;
  Server.prototype.listen = function (this: Server, ...parameters: unknown[]): Server {
    const [where, ...rest] = parameters;
    const isEverywhere = typeof where === "object" && where !== null && "host" in where && where.host === "0.0.0.0";
    return Reflect.apply(listen, this, [isEverywhere ? { ...where, host: "127.0.0.1" } : where, ...rest]) as Server;
  } as typeof listen;
  try {
    return await start();
  } finally {
    Server.prototype.listen = listen;
  }
}
