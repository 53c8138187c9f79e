import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiClient } from "./api-client.ts";
import type { Run } from "./api-answers.ts";
import { RunWatcher } from "./watch-runs.ts";

/** What the API answers now, newest first: `id state`, or a status to refuse with. */
let answer: string[] | number = [];
const told: string[] = [];
const remarks: string[] = [];

const server = createServer((_request, response) => {
  if (typeof answer === "number") return void response.writeHead(answer).end("{}");
  const items = answer.map((text) => text.split(" ")).map(([id, state]) => ({ id, state, attempt: 1, reason: null, http_status: null }));
  response.end(JSON.stringify({ items, next_cursor: null }));
});

const onRun = (run: Run) => told.push(`${run.id} ${run.state}`);

function watcher(): RunWatcher {
  const api = new ApiClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: "k" });
  return new RunWatcher({ api, query: {}, clock: { now: () => 0 }, onRun, onRemark: (line) => remarks.push(line) });
}

beforeEach(async () => {
  told.length = 0;
  remarks.length = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => new Promise<void>((resolve) => void server.close(() => resolve())));

test("the first look tells of the newest, oldest of them first; later ones of what is new or has changed", async () => {
  const watching = watcher();
  answer = ["3 running", "2 succeeded", "1 succeeded"];
  await watching.look(2);
  expect(told.splice(0)).toEqual(["2 succeeded", "3 running"]);
  answer = ["4 queued", "3 succeeded", "2 succeeded", "1 succeeded"];
  await watching.look(2);
  expect(told.splice(0)).toEqual(["3 succeeded", "4 queued"]);
  await watching.look(2);
  expect(told).toEqual([]);
});

test("an API that is away for a while is said once and waited for", async () => {
  const watching = watcher();
  answer = [];
  await watching.look(2);
  answer = 503;
  await watching.look(2);
  await watching.look(2);
  answer = ["1 queued"];
  await watching.look(2);
  expect(remarks).toEqual([expect.stringContaining("waiting: "), "the API answers again"]);
  expect(told).toEqual(["1 queued"]);
});

test("a key that is refused ends the watch", async () => {
  const watching = watcher();
  answer = [];
  await watching.look(2);
  answer = 401;
  await expect(watching.look(2)).rejects.toThrow("401");
});
