import { createServer } from "node:net";
import type { DevConfig } from "../config.ts";
import { Failure } from "../failure.ts";

export type PortVariable = "DOWNBEAT_API_PORT" | "DOWNBEAT_POSTGRES_PORT" | "DOWNBEAT_SQS_PORT" | "DOWNBEAT_RECEIVER_PORT";

const purposes: Readonly<Record<PortVariable, string>> = {
  DOWNBEAT_API_PORT: "the API",
  DOWNBEAT_POSTGRES_PORT: "Postgres",
  DOWNBEAT_SQS_PORT: "the SQS server",
  DOWNBEAT_RECEIVER_PORT: "the sample receiver",
};

/**
 * Fails when one of the four ports cannot be listened on, before anything is started. `leftoverPort` belongs to a Postgres of ours that survived its
 * `downbeat dev`: it is about to be stopped and taken over.
 */
export async function checkPorts(config: Pick<DevConfig, PortVariable>, leftoverPort: number | undefined): Promise<void> {
  const problems: string[] = [];
  const seen = new Map<number, PortVariable>();
  for (const variable of Object.keys(purposes) as PortVariable[]) {
    const port = config[variable];
    if (port === 0) continue;
    const other = seen.get(port);
    seen.set(port, variable);
    if (other !== undefined) problems.push(`port ${port} is wanted twice, by ${other} and ${variable}: give one of them another`);
    else if (variable === "DOWNBEAT_POSTGRES_PORT" && port === leftoverPort) continue;
    else problems.push(...(await complaint(port, purposes[variable], variable)));
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
}

async function complaint(port: number, purpose: string, variable: PortVariable): Promise<string[]> {
  const code = await listenError(port);
  if (code === undefined) return [];
  const reason =
    code === "EADDRINUSE" ? "is taken by another program" : code === "EACCES" ? "is not open to this user" : `cannot be used (${code})`;
  return [
    `port ${port}, which ${purpose} needs, ${reason}: set ${variable} to another port, for example ${variable}=${port + 100} make dev`,
  ];
}

/** Why nothing can listen on the port: the code of the system's error, undefined when it is free. */
async function listenError(port: number): Promise<string | undefined> {
  // Some systems let a listener on one address and one on all of them share a port, and callers would reach whichever they please. Both must be free.
  return (await tryListen(port, "127.0.0.1")) ?? (await tryListen(port, "0.0.0.0"));
}

function tryListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
