import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiClient } from "./api-client.ts";
import { BackfillWatcher } from "./watch-backfill.ts";

/** What the API answers now: fields of the backfill, or a status to refuse with. */
let answer: Record<string, unknown> | number = {};
let nowMs = 0;
const lines: string[] = [];
const remarks: string[] = [];

const server = createServer((_request, response) => {
  if (typeof answer === "number") return void response.writeHead(answer).end("{}");
  const nothing = { state: "running", planned: 100, running: 0, succeeded: 0, failed: 0, canceled: 0, finished_at: null };
  response.end(JSON.stringify({ ...nothing, ...answer }));
});

function watcher(): BackfillWatcher {
  const api = new ApiClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: "k" });
  return new BackfillWatcher({
    api,
    backfillId: "b",
    clock: { monotonic: () => nowMs },
    onProgress: (line) => lines.push(line),
    onRemark: (line) => remarks.push(line),
  });
}

beforeEach(async () => {
  [lines.length, remarks.length, nowMs] = [0, 0, 0];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => new Promise<void>((resolve) => void server.close(() => resolve())));

test("each look draws how far it is and, from the pace since the first look, how long it takes yet; the last one answers the backfill", async () => {
  const watching = watcher();
  answer = { succeeded: 10, running: 5 };
  expect(await watching.look()).toBeUndefined();
  nowMs = 20_000;
  answer = { succeeded: 28, failed: 2, running: 5 };
  expect(await watching.look()).toBeUndefined();
  answer = { state: "completed", succeeded: 95, failed: 2, finished_at: "2026-03-08T09:00:00.000Z" };
  expect(await watching.look()).toMatchObject({ state: "completed", failed: 2 });
  expect(lines).toEqual([
    "[##..................] running: 10 of 100 done, 5 running",
    "[######..............] running: 30 of 100 done, 2 failed, 5 running, about 1 min left",
    "[####################] completed: 97 of 100 done, 2 failed",
  ]);
});

test("a backfill that ran more than was planned draws a full bar", async () => {
  answer = { planned: 10, succeeded: 11, running: 1 };
  await watcher().look();
  expect(lines).toEqual(["[####################] running: 11 of 10 done, 1 running"]);
});

test("a canceled backfill is waited for until its last call has ended", async () => {
  const watching = watcher();
  answer = { state: "canceled", canceled: 4, running: 1 };
  expect(await watching.look()).toBeUndefined();
  answer = { state: "canceled", canceled: 4, succeeded: 1, finished_at: "2026-03-08T09:00:00.000Z" };
  expect(await watching.look()).toMatchObject({ state: "canceled" });
});

test("an API that stops answering is waited for, with one remark as it goes and one as it comes back", async () => {
  const watching = watcher();
  await watching.look();
  answer = 503;
  for (let looks = 0; looks < 3; looks += 1) expect(await watching.look()).toBeUndefined();
  answer = {};
  await watching.look();
  expect(remarks).toEqual([expect.stringMatching(/^waiting: /), "the API answers again"]);
});

test("a refusal ends the watch at once", async () => {
  answer = 404;
  await expect(watcher().look()).rejects.toMatchObject({ problem: { status: 404 } });
});
