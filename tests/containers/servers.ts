import { randomBytes } from "node:crypto";
import { ListQueuesCommand } from "@aws-sdk/client-sqs";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { connect } from "@downbeat/store/connect.ts";
import { until } from "@downbeat/testkit/until.ts";
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from "testcontainers";

export interface StartedServer {
  url: string;
  /** Removes the container and its data. */
  stop(): Promise<void>;
}

const images = {
  postgres: process.env["POSTGRES_IMAGE"] || "postgres:17",
  localStack: process.env["LOCALSTACK_IMAGE"] || "localstack/localstack:4.9.2",
};

/** A test run's data is worth nothing after it, and many test files connect at once. */
const postgresSettings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "jit=off", "timezone=UTC"];

export async function startPostgresContainer(): Promise<StartedServer> {
  // A word that stands nowhere else: tests look whether the password shows up where it must not.
  const password = randomBytes(18).toString("hex");
  const container = await start(
    images.postgres,
    new GenericContainer(images.postgres)
      .withEnvironment({ POSTGRES_PASSWORD: password })
      .withCommand(["postgres", ...postgresSettings.flatMap((setting) => ["-c", setting])])
      .withExposedPorts(5432),
  );
  const url = `postgres://postgres:${password}@${hostOf(container)}:${container.getMappedPort(5432)}/postgres`;
  const sql = connect({ url, connectionsMax: 1, applicationName: "test-setup" });
  try {
    // The port is open before the server behind it answers.
    await until("Postgres to answer", () => sql`select 1`.catch(() => undefined), { deadlineMs: 60_000, everyMs: 100 });
  } catch (error) {
    await container.stop();
    throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
  return { url, stop: async () => void (await container.stop()) };
}

export async function startLocalStack(): Promise<StartedServer> {
  const container = await start(
    images.localStack,
    new GenericContainer(images.localStack)
      .withEnvironment({ SERVICES: "sqs" })
      .withExposedPorts(4566)
      .withWaitStrategy(Wait.forHttp("/_localstack/health", 4566)),
  );
  const url = `http://${hostOf(container)}:${container.getMappedPort(4566)}`;
  const client = createQueueClient({ region: "us-east-1", endpoint: url, socketsMax: 1 });
  try {
    // It loads its SQS at the first request, which takes longer than a test should wait.
    await until("LocalStack's SQS to answer", () => client.send(new ListQueuesCommand({})).catch(() => undefined), { deadlineMs: 60_000 });
  } catch (error) {
    await container.stop();
    throw error;
  } finally {
    client.destroy();
  }
  return { url, stop: async () => void (await container.stop()) };
}

async function start(image: string, container: GenericContainer): Promise<StartedTestContainer> {
  try {
    await getContainerRuntimeClient();
  } catch (error) {
    throw new Error(
      "no Docker engine answers, and the container suites need one: start Docker (or name its address in DOCKER_HOST), or give servers of your own in DATABASE_URL and AWS_ENDPOINT_URL",
      { cause: error },
    );
  }
  return container.start().catch((error: unknown) => {
    throw new Error(`cannot start a container of ${image}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  });
}

/** Node prefers IPv6 for `localhost`, where a container's port need not be. */
function hostOf(container: StartedTestContainer): string {
  const host = container.getHost();
  return host === "localhost" ? "127.0.0.1" : host;
}
