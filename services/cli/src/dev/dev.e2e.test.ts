import type { ChildProcess } from "node:child_process";
import { access, chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removePostgres } from "@downbeat/embedded/postgres.ts";
import { afterAll, afterEach, expect, test } from "vitest";
import { postgresFolder } from "./dev-state.ts";
import { leftoverPostgres } from "./leftover-postgres.ts";
import { type Started, startDownbeat } from "./start-downbeat.test-support.ts";

const folder = await mkdtemp(join(tmpdir(), "downbeat-dev-"));
// mkdtemp closes the folder to everybody else; Postgres may run as another user.
await chmod(folder, 0o755);
const state = join(folder, "state");

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  // Only after a failure is there still a server.
  const left = leftoverPostgres(postgresFolder(state));
  if (left !== undefined) process.kill(left.pid, "SIGKILL");
  await removePostgres(postgresFolder(state));
  await rm(folder, { recursive: true, force: true });
});

function downbeat(...parameters: string[]): Started {
  const started = startDownbeat(state, ...parameters);
  running.push(started.process);
  return started;
}

function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("from nothing to a verified call, and after Ctrl+C nothing is left running", { timeout: 90_000 }, async () => {
  const dev = downbeat("dev");
  const ready = await dev.line(/^ready in \d/);
  for (const part of [/API http:\/\/127/, /Postgres postgres:\/\//, /SQS http:\/\/127/, /receiver http:\/\/127/, /key sk_dev_/])
    expect(ready).toMatch(part);
  expect(await dev.line(/\bverified\b/)).toMatch(/^verified {2}every-10-seconds {2}for \S+Z {2}lag \d+ ms {2}webhook-id [0-9a-f-]{36}$/);
  const postgres = leftoverPostgres(postgresFolder(state));
  expect(isAlive(postgres?.pid)).toBe(true);
  // Keys are for their owner only.
  expect((await stat(join(state, "dev.json"))).mode & 0o077).toBe(0);

  const again = downbeat("dev");
  expect(await again.exit).toBe(1);
  expect(again.output()).toMatch(/^error: `downbeat dev` is already running .*\n$/);

  const list = downbeat("runs", "list", "--json");
  expect(await list.exit).toBe(0);
  expect(JSON.parse(list.output())).toMatchObject({
    items: expect.arrayContaining([expect.objectContaining({ state: "succeeded", http_status: 204 })]),
  });

  dev.process.kill("SIGINT");
  expect(await dev.exit).toBe(0);
  expect(dev.output()).toMatch(/stopping\nstopped\n$/);
  expect(isAlive(postgres?.pid)).toBe(false);
});

test(
  "after `kill -9` the next start takes over the Postgres that stayed behind and keeps key and schedules",
  { timeout: 90_000 },
  async () => {
    const killed = downbeat("dev");
    const [key] = /sk_dev_\S+/.exec(await killed.line(/^ready in/)) ?? [];
    killed.process.kill("SIGKILL");
    await killed.exit;
    const leftover = leftoverPostgres(postgresFolder(state));
    expect(isAlive(leftover?.pid)).toBe(true);

    const dev = downbeat("dev");
    expect(await dev.line(/^ready in/)).toContain(key);
    expect(leftoverPostgres(postgresFolder(state))?.pid).not.toBe(leftover?.pid);
    await dev.line(/^verified {2}every-10-seconds/);
    const clean = downbeat("dev", "--clean");
    expect(await clean.exit).toBe(1);
    expect(clean.output()).toContain("stop it first");
    dev.process.kill("SIGTERM");
    expect(await dev.exit).toBe(0);
  },
);

test("`downbeat dev --clean` removes everything that was kept", async () => {
  const clean = downbeat("dev", "--clean");
  expect(await clean.exit).toBe(0);
  expect(clean.output()).toBe(`removed ${state}\n`);
  await expect(access(state)).rejects.toThrow("ENOENT");
});
