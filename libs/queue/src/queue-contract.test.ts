import { startSqs } from "@downbeat/embedded/sqs.ts";
import { createQueueClient } from "./client.ts";
import { queueContract } from "./queue-contract.test-support.ts";

queueContract("that is embedded", async () => {
  const { endpoint, stop } = await startSqs({ port: 0 });
  return { client: createQueueClient({ region: "us-east-1", endpoint, socketsMax: 4 }), stop };
});

const given = process.env["AWS_ENDPOINT_URL"];
if (given !== undefined && given !== "") {
  queueContract(`at ${given}`, async () => ({
    client: createQueueClient({ region: process.env["AWS_REGION"] ?? "us-east-1", endpoint: given, socketsMax: 4 }),
    stop: async () => {},
  }));
}
