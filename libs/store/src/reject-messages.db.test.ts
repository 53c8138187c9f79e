import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rejectMessages } from "./reject-messages.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("whatever a message holds, it can be kept: NUL bytes, half characters, a megabyte", async () => {
  const bodies = ["{", "a\0b", "\uD83D", "\uD83D\uDE00".repeat(3_000), "x".repeat(2 ** 20), ""];
  await rejectMessages(
    database.connectAs("downbeat_executor", 1),
    bodies.map((body, index) => ({ messageId: `message-${index}`, reason: "not JSON: \0", body })),
  );
  const rows = await database.admin<{ messageId: string; reason: string; body: string }[]>`
    select message_id as "messageId", reason, body from downbeat.rejected_messages order by message_id`;
  expect(rows.map(({ messageId, reason }) => [messageId, reason])).toEqual(
    bodies.map((_, index) => [`message-${index}`, "not JSON: \uFFFD"]),
  );
  expect(rows.map(({ body }) => body)).toEqual(["{", "a\uFFFDb", "\uFFFD", "\uD83D\uDE00".repeat(2_000), "x".repeat(4_000), ""]);
});
