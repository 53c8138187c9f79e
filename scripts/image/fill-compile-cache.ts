/**
 * Fills Node's compile cache for an image, while it is built: starts each entry once, so that its code is there compiled when a pod starts it.
 *
 *     node fill-compile-cache.ts LIB CACHE
 *
 * Neither Postgres nor a queue is there; the services find out and are told to stop, which runs what a start runs. The cache is for the user who makes it (its folder's name holds the
 * user id) and for these paths, so it has to be made as the user and at the place the image uses.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";

const [lib, cache] = process.argv.slice(2);
if (lib === undefined || cache === undefined) throw new Error("usage: node fill-compile-cache.ts LIB CACHE");

/** Nothing listens at port 1. */
const environment = {
  PATH: process.env["PATH"] ?? "",
  NODE_ENV: "production",
  NODE_COMPILE_CACHE: cache,
  DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
  SQS_QUEUE_URL: "http://127.0.0.1:1/000000000000/none",
  AWS_ENDPOINT_URL: "http://127.0.0.1:1",
  AWS_REGION: "us-east-1",
  DOWNBEAT_SECRET_KEYS: `build:${Buffer.alloc(32).toString("base64")}`,
  API_HOST: "127.0.0.1",
  API_PORT: "4600",
};

await start("downbeat", { parameters: ["--help"], says: "Usage", endsItself: true });
// A single pass, which cannot be made.
await start("dispatcher", { variables: { DISPATCH_FOR_SECONDS: "0" }, says: "ended", endsItself: true });
await start("executor", { says: "cannot" });
await start("api", { says: "listening", meanwhile: async () => (await fetch("http://127.0.0.1:4600/health")).text() });

interface Start {
  parameters?: readonly string[];
  variables?: Readonly<Record<string, string>>;
  /** What the process has printed once it has run what its start runs. */
  says: string;
  meanwhile?: () => Promise<unknown>;
  /** False tells it to stop then. Default false. */
  endsItself?: boolean;
}

/** Resolves when the process has ended; rejects when it never said what was waited for. */
async function start(entry: string, { parameters = [], variables = {}, says, meanwhile, endsItself = false }: Start): Promise<void> {
  const child = spawn(process.execPath, [join(lib ?? "", `${entry}.js`), ...parameters], {
    env: { ...environment, ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let output = "";
  let hasSaid = false;
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += chunk;
    if (hasSaid || !output.includes(says)) continue;
    hasSaid = true;
    await meanwhile?.();
    if (!endsItself) child.kill("SIGTERM");
  }
  await ended;
  if (!hasSaid) throw new Error(`${entry} ended before it said "${says}":\n${output}`);
}
