import type { Lifecycle } from "@downbeat/runtime/lifecycle.ts";
import type { EmbeddedPostgres } from "@downbeat/embedded/postgres.ts";
import { startPostgres } from "@downbeat/embedded/postgres.ts";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import type { DevConfig } from "../config.ts";
import { postgresFolder, queueFolder } from "./dev-state.ts";

const databaseName = "downbeat";
const queueName = "downbeat-runs";
const visibilitySeconds = 60;

export interface Database {
  postgres: EmbeddedPostgres;
  url: string;
  /** An administrator's connection. */
  admin: Sql;
  /** Tells this server's data from any other, also after it was lost and made anew in the same place. */
  identity: string;
}

/** A Postgres of our own with the schema of this version. What it holds survives `kill -9`. */
export async function startDatabase(config: DevConfig, options: { folder: string; lifecycle: Lifecycle }): Promise<Database> {
  const { folder, lifecycle } = options;
  const postgres = await startPostgres({ dataDir: postgresFolder(folder), port: config.DOWNBEAT_POSTGRES_PORT, isDurable: true });
  lifecycle.onClose("Postgres", () => postgres.stop());
  const url = new URL(postgres.url);
  url.pathname = `/${databaseName}`;
  await createDatabase(postgres.url);
  const admin = connect({ url: url.href, connectionsMax: 1, applicationName: "downbeat-dev" });
  lifecycle.onClose("administrator's connection", () => admin.end({ timeout: 1 }));
  await migrate(admin);
  const [server] = await admin<{ identity: string }[]>`select system_identifier::text as identity from pg_control_system()`;
  return { postgres, url: url.href, admin, identity: server?.identity ?? "" };
}

async function createDatabase(serverUrl: string): Promise<void> {
  const server = connect({ url: serverUrl, connectionsMax: 1, applicationName: "downbeat-dev" });
  try {
    const existing = await server`select 1 from pg_database where datname = ${databaseName}`;
    if (existing.length === 0) await server.unsafe(`create database ${databaseName}`);
  } finally {
    await server.end({ timeout: 1 });
  }
}

export interface Queue {
  /** For `AWS_ENDPOINT_URL`. */
  endpoint: string;
  queueUrl: string;
}

/** An SQS server in this process, its messages kept on disk, with Downbeat's queues. */
export async function startQueue(config: DevConfig, options: { folder: string; lifecycle: Lifecycle; region: string }): Promise<Queue> {
  const { folder, lifecycle, region } = options;
  const server = await startSqs({ port: config.DOWNBEAT_SQS_PORT, dataDir: queueFolder(folder) });
  lifecycle.onClose("SQS server", () => server.stop());
  const client = createQueueClient({ region, endpoint: server.endpoint, socketsMax: 1 });
  try {
    const { queueUrl } = await createQueues(client, queueName, visibilitySeconds);
    // The server remembers the address under which a queue was first made; the port may have changed since.
    return { endpoint: server.endpoint, queueUrl: `${server.endpoint}${new URL(queueUrl).pathname}` };
  } finally {
    client.destroy();
  }
}
