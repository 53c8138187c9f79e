/**
 * What the images cost: their size, and for each role how long a start takes, how much of it is work, the most memory it needs, and how long its stop takes.
 *
 *     node scripts/measure-image.ts [--scheduler IMAGE] [--api IMAGE] [--starts 12] [--cpus 0.5]
 *
 * Needs a Docker engine that shares this machine's network (Linux). Postgres and the queue are those of the clone's packages, on loopback, and empty: a dispatcher's first claim finds
 * nothing, so what is measured is the start and not its first work. `--cpus` limits each container as a pod's limit would.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removePostgres, startPostgres } from "../libs/embedded/src/postgres.ts";
import { startSqs } from "../libs/embedded/src/sqs.ts";
import { createQueueClient } from "../libs/queue/src/client.ts";
import { createQueues } from "../libs/queue/src/create-queues.ts";
import { connect } from "../libs/store/src/connect.ts";
import { migrate } from "../libs/store/src/migrate.ts";
import { docker, measureStart, type Role, type Start } from "./image/measure-start.ts";

const { values } = parseArgs({
  options: {
    scheduler: { type: "string", default: "downbeat-scheduler:local" },
    api: { type: "string", default: "downbeat-api:local" },
    starts: { type: "string", default: "12" },
    cpus: { type: "string" },
  },
});

const roles: readonly Role[] = [
  { name: "dispatcher", image: values.scheduler, readyMessage: "first claim", endsItself: true },
  { name: "executor", image: values.scheduler, readyMessage: "executor ready", endsItself: false },
  { name: "api", image: values.api, readyMessage: "listening", endsItself: false },
];

/** As a cluster's restricted pods run. */
const restricted = ["--network", "host", "--read-only", "--tmpfs", "/tmp", "--user", "1000", "--cap-drop", "ALL"];

const folder = await mkdtemp(join(tmpdir(), "downbeat-measure-"));
// mkdtemp closes the folder to everybody else; the server may run as another user.
await chmod(folder, 0o755);
const dataDir = join(folder, "postgres");
const postgres = await startPostgres({ dataDir, port: 0, isDurable: false });
const sqs = await startSqs({ port: 0 });
try {
  await printSizes();
  const parameters = [...restricted, ...(await environment()), ...(values.cpus === undefined ? [] : ["--cpus", values.cpus])];
  const starts = new Map<Role, Start[]>(roles.map((role) => [role, []]));
  // The first start of each reads its files from the disk; it belongs to the figures as the maximum, as a fresh node's first pod does.
  for (let round = 0; round < Number(values.starts); round += 1)
    for (const [role, measured] of starts) measured.push(await measureStart(role, parameters));
  printStarts(starts);
} finally {
  await sqs.stop();
  await postgres.stop();
  await removePostgres(dataDir);
  await rm(folder, { recursive: true });
}

async function environment(): Promise<string[]> {
  const sql = connect({ url: postgres.url, connectionsMax: 1, applicationName: "measure" });
  await migrate(sql);
  await sql.end();
  const client = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 1 });
  const { queueUrl } = await createQueues(client, "measure", 60);
  client.destroy();
  const variables = {
    DATABASE_URL: postgres.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: `measure:${Buffer.alloc(32).toString("base64")}`,
    DISPATCH_FOR_SECONDS: "0",
    RECEIVE_WAIT_SECONDS: "1",
    API_HOST: "127.0.0.1",
    API_PORT: "0",
  };
  return Object.entries(variables).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
}

async function printSizes(): Promise<void> {
  for (const image of new Set(roles.map((role) => role.image))) {
    const bytes = Number(await docker("image", "inspect", "--format", "{{.Size}}", image));
    const [kibibytes = ""] = (await docker("run", "--rm", image, "du", "-sk", "/app")).split("\t");
    console.log(`${image}: ${(bytes / 1e6).toFixed(0)} MB, of which Downbeat ${(Number(kibibytes) / 1024).toFixed(1)} MiB`);
  }
}

function printStarts(starts: ReadonlyMap<Role, readonly Start[]>): void {
  console.table(
    [...starts].map(([{ name }, measured]) => ({
      role: name,
      starts: measured.length,
      "Node to ready, ms": medianAndMax(measured.map(({ sinceStartMs }) => sinceStartMs)),
      "of it CPU, ms": medianAndMax(measured.map(({ cpuMs }) => cpuMs)),
      "container to ready, ms": medianAndMax(measured.map(({ readyMs }) => readyMs)),
      "peak RSS, MiB": medianAndMax(measured.map(({ peakRssMiB }) => peakRssMiB)),
      "stop, ms": medianAndMax(measured.map(({ stopMs }) => stopMs)),
    })),
  );
}

/** `120 (max 180)`; nothing where the role does not tell. */
function medianAndMax(figures: readonly (number | undefined)[]): string {
  const known = figures.filter((figure) => figure !== undefined).sort((a, b) => a - b);
  const [median, max] = [known[Math.floor(known.length / 2)], known.at(-1)];
  return median === undefined || max === undefined ? "" : `${Math.round(median)} (max ${Math.round(max)})`;
}
