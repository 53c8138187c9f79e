import { Webhook } from "standardwebhooks";
import { afterAll, beforeEach, expect, test } from "vitest";
import { startSampleReceiver } from "./sample-receiver.ts";

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const lines: string[] = [];
let announce = () => {};
const receiver = await startSampleReceiver({
  port: 0,
  secret,
  nameOf: async (id) => (id === "s1" ? "nightly" : undefined),
  print: (line) => {
    lines.push(line);
    announce();
  },
});
afterAll(() => receiver.close());
beforeEach(() => void lines.splice(0));

/** Calls the receiver as Downbeat would, the body perhaps changed on the way, and answers status and printed line. */
async function call(given: { sent?: string; scheduleId?: string } = {}): Promise<{ status: number; line: string | undefined }> {
  const body = '{"run_id":"r1"}';
  const { sent = body, scheduleId = "s1" } = given;
  const printed = new Promise<void>((resolve) => (announce = resolve));
  const signature = new Webhook(secret).sign("r1", new Date(), body);
  const response = await fetch(receiver.url, {
    method: "POST",
    headers: {
      "webhook-id": "r1",
      "webhook-timestamp": String(Math.floor(Date.now() / 1_000)),
      "webhook-signature": signature,
      "x-schedule-id": scheduleId,
      "x-scheduled-for": "2026-03-08T09:00:00.000Z",
    },
    body: sent,
  });
  await printed;
  return { status: response.status, line: lines[0] };
}

test("a call that the stock library verifies is accepted and described on one line", async () => {
  const { status, line } = await call();
  expect(status).toBe(204);
  expect(line).toMatch(/^verified {2}nightly {2}for 2026-03-08T09:00:00\.000Z {2}lag \d+ ms {2}webhook-id r1$/);
});

test("a body that was changed on the way is refused loudly", async () => {
  const { status, line } = await call({ sent: '{"run_id":"r2"}' });
  expect(status).toBe(401);
  expect(line).toMatch(/^NOT VERIFIED: POST \/ was refused: /);
});

test("a schedule nobody knows the name of shows its id", async () => {
  expect((await call({ scheduleId: "s2" })).line).toContain("verified  s2");
});
