import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { toRequest } from "./schedules-backfill.ts";

const program = fileURLToPath(new URL("../../bin/downbeat.js", import.meta.url));

const plan = {
  from: "2026-03-01T00:00:00.000Z",
  to: "2026-03-01T02:00:00.000Z",
  concurrency: 1,
  occurrences: 2,
  left_out: { succeeded: 0, under_way: 0 },
  planned: 2,
  first: ["2026-03-01T01:00:00.000Z", "2026-03-01T02:00:00.000Z"],
  last: [],
  estimate: { mean_run_ms: 850, runs_per_minute: 60, seconds: 2 },
};
const running = {
  id: "b-1",
  schedule: { id: "s-1", name: "daily report" },
  state: "running",
  planned: 2,
  running: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  finished_at: null,
};
const finished = { ...running, state: "completed", succeeded: 2, finished_at: "2026-03-01T03:00:00.000Z" };

/** What the API answers: to a dry run, to the request itself, and to the looks after it. */
let answers: { plan: object; created: object; looked: object };
let asked: { path: string | undefined; body: Record<string, unknown> }[];

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    if (request.method === "GET") return void response.end(JSON.stringify(answers.looked));
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
    asked.push({ path: request.url, body });
    response.end(JSON.stringify(body["dry_run"] === true ? answers.plan : answers.created));
  });
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));
beforeEach(() => {
  answers = { plan, created: running, looked: finished };
  asked = [];
});

/** The real program, with nobody at a terminal. */
async function backfill(...options: string[]) {
  const { PATH } = process.env;
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { ...(PATH === undefined ? {} : { PATH }), DOWNBEAT_URL: url, DOWNBEAT_API_KEY: "k", DOWNBEAT_STATE_DIR: "/nonexistent" };
  const parameters = [program, "schedules", "backfill", "daily report", "--from", plan.from, ...options];
  const child = spawn(process.execPath, parameters, { env, stdio: ["ignore", "pipe", "pipe"] });
  const read = async (stream: AsyncIterable<Buffer>) => Buffer.concat(await Array.fromAsync(stream)).toString("utf8");
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [stdout, stderr, status] = await Promise.all([read(child.stdout), read(child.stderr), exited]);
  return { status, stdout, stderr };
}

test("only what was given is asked for", () => {
  expect(toRequest({ from: "a" })).toEqual({ from: "a" });
  expect(toRequest({ from: "a", to: "b", concurrency: 3 })).toEqual({ from: "a", to: "b", concurrency: 3 });
});

describe("without a terminal", () => {
  test("the plan is shown and nothing is run, and the line says to add --yes: exit code 2", async () => {
    const { status, stdout, stderr } = await backfill();
    expect([status, stderr]).toEqual([2, "error: nothing was run: add --yes to run 2 occurrences, or --plan to see only the plan\n"]);
    expect(stdout).toContain("2 occurrences to run after 2026-03-01 00:00:00Z");
    expect(asked).toEqual([{ path: "/api/v1/schedules/daily%20report/backfills", body: { from: plan.from, dry_run: true } }]);
  });

  test("--plan shows the plan and is content", async () => {
    expect(await backfill("--plan")).toMatchObject({ status: 0, stderr: "" });
    expect(JSON.parse((await backfill("--plan", "--json")).stdout)).toEqual(plan);
    expect(asked.map(({ body }) => body["dry_run"])).toEqual([true, true]);
  });

  test("--yes runs exactly the stretch that was shown", async () => {
    const { status, stdout } = await backfill("--yes", "--concurrency", "5");
    expect([status, stdout.split("\n").at(-2)]).toEqual([0, "backfill b-1 is running: 0 of 2 done; next: downbeat backfills show b-1"]);
    expect(asked.at(-1)?.body).toEqual({ from: plan.from, to: plan.to, concurrency: 5 });
  });

  test("--wait stays until it is finished; exit code 1 if some failed, with the line that shows which", async () => {
    expect(await backfill("--yes", "--wait")).toMatchObject({ status: 0, stderr: "[####################] completed: 2 of 2 done\n" });
    answers.looked = { ...finished, succeeded: 1, failed: 1 };
    const { status, stderr } = await backfill("--yes", "--wait");
    expect([status, stderr.split("\n").at(-2)]).toEqual([
      1,
      "error: 1 of 2 runs failed; see: downbeat runs list --schedule s-1 --state failed",
    ]);
    expect(JSON.parse((await backfill("--yes", "--wait", "--json")).stdout)).toEqual(answers.looked);
  });

  test("with nothing to run, nothing is asked for", async () => {
    answers.plan = { ...plan, planned: 0, first: [], left_out: { succeeded: 2, under_way: 0 } };
    expect(await backfill()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^nothing to run .*: 2 succeeded already\n$/) });
    expect(asked).toHaveLength(1);
  });

  test("--yes and --wait contradict --plan: exit code 2", async () => {
    expect((await backfill("--plan", "--yes")).status).toBe(2);
    expect((await backfill("--plan", "--wait")).status).toBe(2);
    expect(await backfill("--concurrency", "many")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("It must be a whole number from 1 to 100."),
    });
  });
});
