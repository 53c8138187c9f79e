import { randomUUID } from "node:crypto";
import { DeleteQueueCommand, GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { createQueueClient } from "./client.ts";

/** A queue server for tests that need one and do not care which. */
export interface TestQueueServer {
  readonly endpoint: string;
  /** A name for a queue that no other test has, on a server that many share. */
  queueName(purpose: string): string;
  /** Ends a server that is this test's own; of another it only deletes the queues of its names. */
  stop(): Promise<void>;
}

/**
 * The one place that decides where tests have their queues: on the server that `AWS_ENDPOINT_URL` names, and on one in this process where it names none. Tests that take their server down
 * start one of their own.
 */
export async function startQueueServer(): Promise<TestQueueServer> {
  const given = process.env["AWS_ENDPOINT_URL"];
  const names: string[] = [];
  const queueName = (purpose: string) => {
    const name = `${purpose}-${randomUUID()}`;
    names.push(name);
    return name;
  };
  if (given !== undefined && given !== "") {
    const endpoint = given.replace(/\/+$/, "");
    return { endpoint, queueName, stop: () => deleteQueues(endpoint, names) };
  }
  const { endpoint, stop } = await startSqs({ port: 0 });
  return { endpoint, queueName, stop };
}

async function deleteQueues(endpoint: string, names: readonly string[]): Promise<void> {
  const client = createQueueClient({ region: process.env["AWS_REGION"] ?? "us-east-1", endpoint, socketsMax: 2 });
  for (const QueueName of names.flatMap((name) => [name, `${name}-dlq`])) {
    // A name whose queue was never made.
    const found = await client.send(new GetQueueUrlCommand({ QueueName })).catch(() => undefined);
    if (found !== undefined) await client.send(new DeleteQueueCommand({ QueueUrl: found.QueueUrl }));
  }
  client.destroy();
}
