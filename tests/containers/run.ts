/**
 * `make test-containers`: the suites that work on Postgres and a queue, on the servers that are nearest to production, each in a container of its own. What `DATABASE_URL` or `AWS_ENDPOINT_URL`
 * names is used instead of a container. Arguments are vitest's: files, `-t`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { listenForStop } from "@downbeat/runtime/stop-signals.ts";
import { type StartedServer, startLocalStack, startPostgresContainer } from "./servers.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));

let suite: ChildProcess | undefined;
let isStopped = false;
listenForStop({
  // The servers are taken away when the suite has ended, or it would end in a flood of lost connections.
  onStop: () => {
    isStopped = true;
    suite?.kill("SIGTERM");
  },
  onForce: () => void suite?.kill("SIGKILL"),
});

const servers: StartedServer[] = [];
try {
  const wanted = [
    { variable: "DATABASE_URL", start: startPostgresContainer },
    { variable: "AWS_ENDPOINT_URL", start: startLocalStack },
  ].filter(({ variable }) => (process.env[variable] ?? "") === "");
  const started = await Promise.allSettled(
    wanted.map(async ({ variable, start }) => {
      const server = await start();
      servers.push(server);
      return [variable, server.url] as const;
    }),
  );
  const failed = started.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const urls = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  process.exitCode = isStopped ? 1 : await runSuite(Object.fromEntries(urls));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await Promise.allSettled(servers.map((server) => server.stop()));
}

function runSuite(urls: Record<string, string>): Promise<number> {
  const child = (suite = spawn(process.execPath, [vitest, "run", "--config", "vitest.containers.config.ts", ...process.argv.slice(2)], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...urls },
  }));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
