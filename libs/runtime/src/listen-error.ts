/** The error of a `listen` that failed, in words that say which variable helps where the port is taken. */
export function explainListenError(error: unknown, { host, port, variable }: { host: string; port: number; variable: string }): unknown {
  const { code } = error as { code?: string };
  if (code !== "EADDRINUSE") return error;
  return new Error(`port ${port} on ${host} is taken by another process; set ${variable} to a free one`, { cause: error });
}
