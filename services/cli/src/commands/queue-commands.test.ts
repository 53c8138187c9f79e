import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { afterAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../../bin/downbeat.js", import.meta.url));
const server = await startSqs({ port: 0 });
const stateFolder = await mkdtemp(join(tmpdir(), "downbeat-cli-"));
afterAll(async () => {
  await server.stop();
  await rm(stateFolder, { recursive: true });
});

/** The real program; not awaited in place, because the server it asks lives in this process. */
function downbeat(parameters: string[], environment: Record<string, string> = {}) {
  const env = { PATH: process.env["PATH"], DOWNBEAT_STATE_DIR: stateFolder, AWS_ENDPOINT_URL: server.endpoint, ...environment };
  const child = spawn(process.execPath, [program, ...parameters], { env, stdio: ["ignore", "pipe", "pipe"] });
  const answer = { status: 0, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (answer.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (answer.stderr += chunk.toString()));
  return new Promise<typeof answer>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ ...answer, status: code ?? -1 }));
  });
}

test("the queue is made with its dead-letter queue, and status shows both", async () => {
  const made = await downbeat(["queue", "create", "--name", "runs", "--json"]);
  const { queue_url: queueUrl } = JSON.parse(made.stdout) as { queue_url: string };
  const status = await downbeat(["queue", "status", "--json"], { SQS_QUEUE_URL: queueUrl });
  expect(JSON.parse(status.stdout)).toEqual({
    items: [
      { queue: "runs", visible: 0, in_flight: 0, delayed: 0 },
      { queue: "runs-dlq", visible: 0, in_flight: 0, delayed: 0 },
    ],
  });
});

test("a queue that does not exist is named, with the command that makes it", async () => {
  const url = `${server.endpoint}/000000000000/nowhere`;
  const { status, stderr } = await downbeat(["queue", "status"], { SQS_QUEUE_URL: url });
  expect(status).toBe(1);
  expect(stderr).toBe(`error: there is no queue "nowhere" (${url}); make it: downbeat queue create --name nowhere\n`);
});
