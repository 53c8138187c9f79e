import { startFauxqs } from "fauxqs";

export interface EmbeddedSqs {
  /** Endpoint for the AWS SDK; any credentials are accepted. */
  readonly endpoint: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A server that speaks the SQS protocol, in this process. With `dataDir` its messages survive a restart (SQLite). Port 0 takes a free one. */
export async function startSqs(options: { port: number; dataDir?: string }): Promise<EmbeddedSqs> {
  const server = await startFauxqs({
    port: options.port,
    logger: false,
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
  return { endpoint: `http://127.0.0.1:${server.port}`, port: server.port, stop: () => server.stop() };
}
