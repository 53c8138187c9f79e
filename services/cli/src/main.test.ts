import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../bin/downbeat.js", import.meta.url));
const stateFolder = await mkdtemp(join(tmpdir(), "downbeat-cli-"));
afterAll(() => rm(stateFolder, { recursive: true }));

/** The real program, in an environment that names no installation. */
function downbeat(...parameters: string[]) {
  const { PATH } = process.env;
  const env = { ...(PATH === undefined ? {} : { PATH }), DOWNBEAT_STATE_DIR: stateFolder };
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...parameters], { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

test.each([
  [["fly"], "error: unknown command 'fly'"],
  [["runs", "lst"], "error: unknown command 'lst'"],
  [["runs", "list", "--nope"], "error: unknown option '--nope'"],
  [["runs", "list", "--limit", "many"], "error: option '--limit <count>' argument 'many' is invalid. It must be a whole number from 1."],
  [["schedules", "create", "--name", "x"], "error: required option '--endpoint <endpoint>' not specified"],
  [["keys", "create", "--scope", "tenant"], "error: --scope tenant needs --tenant"],
  [["dispatch", "--for", "soon"], 'error: --for takes a number of seconds or `forever`, got "soon"'],
  [["dispatch", "--tenant", "acme"], "error: --tenant needs --dry-run: a real pass serves every tenant"],
])("wrong usage %j is one line on standard error and exit code 2", (parameters, line) => {
  expect(downbeat(...parameters)).toEqual({ status: 2, stdout: "", stderr: `${line}\n` });
});

test("a variable that is missing is named, with exit code 2 and no stack", () => {
  const { status, stderr } = downbeat("migrate");
  expect(status).toBe(2);
  expect(stderr).toMatch(/^error: DATABASE_URL is not set\. .*\n$/);
});

test("without an API to ask, the line says what to set and what to start; exit code 1", () => {
  expect(downbeat("runs", "list")).toEqual({
    status: 1,
    stdout: "",
    stderr: "error: no API to ask: set DOWNBEAT_URL and DOWNBEAT_API_KEY, or start one with `make dev`\n",
  });
});

test("help and version go to standard output with exit code 0", () => {
  expect(downbeat("--version")).toEqual({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" });
  const { status, stdout } = downbeat("schedules", "create", "--help");
  expect(status).toBe(0);
  expect(stdout).toContain("--cron <expression>");
});
