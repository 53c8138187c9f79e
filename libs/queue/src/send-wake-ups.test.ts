import { randomUUID } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { createQueueClient, type QueueClient } from "./client.ts";
import type { WakeUp } from "./pack-wake-ups.ts";
import { accept, type ScriptedSqs, type SendAnswer, type SendEntry, startScriptedSqs } from "./scripted-sqs.test-support.ts";
import { sendWakeUps } from "./send-wake-ups.ts";
import { encodeWakeUp } from "./wake-up.ts";

let server: ScriptedSqs | undefined;
let client: QueueClient | undefined;
afterEach(async () => {
  client?.destroy();
  await server?.close();
});

const wakeUps: readonly WakeUp[] = ["a", "b", "c", "d"].map((groupId, delaySeconds) => {
  const refs = [{ tenantId: randomUUID(), runId: randomUUID() }];
  return { refs, delaySeconds, groupId, body: encodeWakeUp(refs) };
});

/** The groups of the wake-ups that were accepted, failed and refused. */
async function sendTo(answer: (entries: readonly SendEntry[]) => SendAnswer) {
  server = await startScriptedSqs(answer);
  client = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 1 });
  const { accepted, failed, refused } = await sendWakeUps(client, `${server.endpoint}/000000000000/runs`, wakeUps);
  return { accepted: groupsOf(accepted), failed: groupsOf(failed), refused: groupsOf(refused) };
}

function groupsOf(list: readonly WakeUp[]): string {
  return list.map(({ groupId }) => groupId).join("");
}

test("each message is sent with its body, delay and fair-queue group", async () => {
  await sendTo((entries) => ({ Successful: entries.map(accept) }));
  expect(server?.requests).toHaveLength(1);
  expect(server?.requests[0]).toMatchObject(
    wakeUps.map(({ body, delaySeconds, groupId }) => ({ MessageBody: body, DelaySeconds: delaySeconds, MessageGroupId: groupId })),
  );
});

test("a batch that answers 200 counts as sent only for the entries it names as successful", async () => {
  const failed = { Code: "InternalError", SenderFault: false };
  const results = await sendTo((entries) => ({
    Successful: entries.slice(1, 3).map(accept),
    Failed: [
      { Id: "0", ...failed },
      { Id: "3", ...failed },
    ],
  }));
  expect(results).toEqual({ accepted: "bc", failed: "ad", refused: "" });
});

test("an entry that the server calls the sender's fault is told from one it failed to take", async () => {
  const results = await sendTo((entries) => ({
    Successful: entries.slice(2).map(accept),
    Failed: [
      { Id: "0", Code: "InvalidMessageContents", SenderFault: true },
      { Id: "1", Code: "ServiceUnavailable", SenderFault: false },
    ],
  }));
  expect(results).toEqual({ accepted: "cd", failed: "b", refused: "a" });
});

test("an entry in neither list is failed, not sent", async () => {
  expect(await sendTo((entries) => ({ Successful: entries.slice(0, 1).map(accept) }))).toEqual({
    accepted: "a",
    failed: "bcd",
    refused: "",
  });
});

test("an answer that names nothing has sent nothing", async () => {
  expect(await sendTo(() => ({}))).toEqual({ accepted: "", failed: "abcd", refused: "" });
});

test("answers may come in any order, and names nobody asked for change nothing", async () => {
  const results = await sendTo((entries) => ({ Successful: [{ Id: "7", MessageId: "x" }, ...entries.slice(0, 2).reverse().map(accept)] }));
  expect(results).toEqual({ accepted: "ab", failed: "cd", refused: "" });
});

test("a request that fails as a whole throws, after one quick retry", async () => {
  await expect(sendTo(() => 500)).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
  expect(server?.requests).toHaveLength(2);
});
