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

/** How servers that know groups for FIFO queues only refuse them elsewhere, word for word. */
const asElasticMq = (entries: readonly SendEntry[]) => ({
  Failed: entries.map(({ Id }) => ({
    Code: "InvalidParameterValue",
    Id,
    Message: "The request includes parameter MessageGroupId that is not valid for this queue type",
    SenderFault: true,
  })),
});
const asLocalStack = (entries: readonly SendEntry[]) => ({
  Failed: entries.map(({ Id, MessageGroupId }) => ({
    Id,
    SenderFault: true,
    Code: "InvalidParameterValueException",
    Message: `Value ${MessageGroupId} for parameter MessageGroupId is invalid. Reason: The request include parameter that is not valid for this queue type.`,
  })),
});
const asMoto = ([first]: readonly SendEntry[]) => ({
  __type: "InvalidParameterValue",
  message: `Value ${first?.MessageGroupId} for parameter MessageGroupId is invalid. Reason: The request include parameter that is not valid for this queue type.`,
});

const hasGroup = ({ MessageGroupId }: SendEntry) => MessageGroupId !== undefined;

test.each([
  ["ElasticMQ 1.6.9", asElasticMq],
  ["LocalStack 4.6.0", asLocalStack],
  ["moto 5.1.6", asMoto],
] as const)("where %s refuses groups on a standard queue, they are left out from then on, and that is news once", async (_name, refuse) => {
  server = await startScriptedSqs((entries) => (entries.some(hasGroup) ? refuse(entries) : { Successful: entries.map(accept) }));
  client = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 1 });
  const queueUrl = `${server.endpoint}/000000000000/runs`;
  expect(await sendWakeUps(client, queueUrl, wakeUps)).toEqual({ accepted: wakeUps, failed: [], refused: [], isGroupRefusalNew: true });
  expect(await sendWakeUps(client, queueUrl, wakeUps)).toEqual({ accepted: wakeUps, failed: [], refused: [], isGroupRefusalNew: false });
  expect(server.requests.map((entries) => entries.filter(hasGroup).length)).toEqual([4, 0, 0]);
  expect(server.requests[1]).toMatchObject(wakeUps.map(({ body, delaySeconds }) => ({ MessageBody: body, DelaySeconds: delaySeconds })));
});

test("of many sends that are refused at once, one brings the news", async () => {
  server = await startScriptedSqs((entries) => (entries.some(hasGroup) ? asElasticMq(entries) : { Successful: entries.map(accept) }));
  const queue = (client = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 8 }));
  const results = await Promise.all(Array.from({ length: 8 }, () => sendWakeUps(queue, `${server?.endpoint}/000000000000/runs`, wakeUps)));
  expect(results.filter(({ isGroupRefusalNew }) => isGroupRefusalNew)).toHaveLength(1);
  expect(results.every(({ accepted }) => accepted.length === 4)).toBe(true);
});

test("a queue that takes groups keeps them when another of the same server refuses", async () => {
  let isFifoOnly = true;
  server = await startScriptedSqs((entries) =>
    isFifoOnly && entries.some(hasGroup) ? asElasticMq(entries) : { Successful: entries.map(accept) },
  );
  client = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 1 });
  await sendWakeUps(client, `${server.endpoint}/000000000000/old`, wakeUps);
  isFifoOnly = false;
  await sendWakeUps(client, `${server.endpoint}/000000000000/new`, wakeUps);
  expect(server.requests.at(-1)?.every(hasGroup)).toBe(true);
});

test("only what was refused for its group is sent again, and what the first try got in stays sent when the second fails", async () => {
  server = await startScriptedSqs((entries) => {
    if (!entries.some(hasGroup)) return 500;
    return { Successful: entries.slice(0, 2).map(accept), ...asElasticMq(entries.slice(2)) };
  });
  client = createQueueClient({ region: "us-east-1", endpoint: server.endpoint, socketsMax: 1 });
  const { accepted, failed } = await sendWakeUps(client, `${server.endpoint}/000000000000/runs`, wakeUps);
  expect([groupsOf(accepted), groupsOf(failed)]).toEqual(["ab", "cd"]);
  expect(server.requests[1]).toMatchObject(wakeUps.slice(2).map(({ body }) => ({ MessageBody: body })));
});

test.each([
  [
    "another parameter",
    "Value 3 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.",
  ],
  [
    "a group it does not like",
    "Value x for parameter MessageGroupId is invalid. Reason: can only include alphanumeric and punctuation characters.",
  ],
])("a refusal for %s is no reason to leave groups out", async (_what, message) => {
  const refused = sendTo(() => ({ __type: "InvalidParameterValue", message }));
  await expect(refused).rejects.toMatchObject({ name: "InvalidParameterValue" });
  expect(server?.requests).toHaveLength(1);
});
