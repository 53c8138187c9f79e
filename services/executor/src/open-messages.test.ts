import { expect, test } from "vitest";
import { type OpenMessage, OpenMessages, type ReceivedRun } from "./open-messages.ts";

function arrange() {
  const settled: OpenMessage[] = [];
  const messages = new OpenMessages((message) => settled.push(message));
  const open = (id: string, ...runIds: string[]): ReceivedRun[] =>
    messages.open(
      { messageId: id, receiptHandle: `receipt ${id}`, body: "" },
      runIds.map((runId) => ({ tenantId: "tenant", runId })),
    );
  return { messages, open, settled: () => settled.map(({ message, comeBackSeconds }) => [message.messageId, comeBackSeconds]) };
}

const done = { isDone: true } as const;
const again = (againInSeconds: number) => ({ isDone: false, againInSeconds }) as const;

test("a message is settled when the last of its runs is, not before", () => {
  const { messages, open, settled } = arrange();
  const [a, b, c] = open("m", "a", "b", "c") as [ReceivedRun, ReceivedRun, ReceivedRun];
  messages.settle(b, done);
  messages.settle(a, done);
  expect([settled(), messages.all.length]).toEqual([[], 1]);
  messages.settle(c, done);
  expect([settled(), messages.all.length]).toEqual([[["m", undefined]], 0]);
});

test("a message of which one run has to come again comes again, at the earliest of the times asked for", () => {
  const { messages, open, settled } = arrange();
  const [a, b, c] = open("m", "a", "b", "c") as [ReceivedRun, ReceivedRun, ReceivedRun];
  messages.settle(a, again(30));
  messages.settle(b, again(5));
  messages.settle(c, done);
  expect(settled()).toEqual([["m", 5]]);
});

test("messages that name the same run are settled each for itself", () => {
  const { messages, open, settled } = arrange();
  const [first] = open("first", "a") as [ReceivedRun];
  const [second] = open("second", "a") as [ReceivedRun];
  messages.settle(second, done);
  expect([settled(), messages.all.map(({ message }) => message.messageId)]).toEqual([[["second", undefined]], ["first"]]);
  messages.settle(first, again(0));
  expect(settled()).toEqual([
    ["second", undefined],
    ["first", 0],
  ]);
});
