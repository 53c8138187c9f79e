import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, removePostgres } from "@downbeat/embedded/postgres.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, expect, test } from "vitest";
import { postgresFolder } from "./dev/dev-state.ts";
import { type Started, startDownbeat } from "./dev/start-downbeat.test-support.ts";

const clone = fileURLToPath(new URL("../../../", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "downbeat-readme-"));
// mkdtemp closes the folder to everybody else; Postgres may run as another user.
await chmod(folder, 0o755);
const state = join(folder, "state");
let dev: Started | undefined;
let receiver: ChildProcess | undefined;

afterAll(async () => {
  receiver?.kill("SIGKILL");
  dev?.process.kill("SIGTERM");
  await dev?.exit;
  await removePostgres(postgresFolder(state));
  await rm(folder, { recursive: true, force: true });
});

/** The shell blocks of the README, with the ports of this test and the key that `make dev` printed. */
async function readmeBlocks(replacements: [string | RegExp, string][]): Promise<string[]> {
  const text = await readFile(join(clone, "README.md"), "utf8");
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) =>
    replacements.reduce((changed, [from, to]) => changed.replaceAll(from, to), block),
  );
}

function runShell(script: string): { process: ChildProcess; output: () => string; exit: Promise<number | null> } {
  const env = { ...process.env, DOWNBEAT_STATE_DIR: state };
  // `exec`, so that ending the shell ends the receiver it turned into.
  const child = spawn("bash", ["-euc", script.replace(/^node receiver.mjs$/m, "exec node receiver.mjs")], { cwd: folder, env });
  let output = "";
  const onData = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", onData);
  child.stderr.on("data", onData);
  return { process: child, output: () => output, exit: new Promise((resolve) => child.once("close", resolve)) };
}

test(
  "the README's lines, pasted, bring verified calls to a receiver of the reader's own and show them with their lag",
  { timeout: 120_000 },
  async () => {
    await symlink(join(clone, "node_modules"), join(folder, "node_modules"));
    dev = startDownbeat(state, "dev");
    const ready = await dev.line(/^ready in/);
    const [, apiPort = ""] = /API http:\/\/127\.0\.0\.1:(\d+)/.exec(ready) ?? [];
    const [key = ""] = /sk_dev_\S+/.exec(ready) ?? [];
    const [, receiverBlock = "", apiBlock = ""] = await readmeBlocks([
      ["4600", apiPort],
      ["9000", String(await freePort())],
      [/sk_dev_….*/g, key],
    ]);
    const received = runShell(receiverBlock);
    receiver = received.process;
    await until("the receiver's program", () => readFile(join(folder, "receiver.mjs")).catch(() => undefined));

    // The list is asked for once something has been called; the rest runs as it stands.
    const [requests = "", list = ""] = apiBlock.split(/^(?=npx )/m);
    const asked = runShell(requests);
    expect({ code: await asked.exit, output: asked.output() }).toEqual({
      code: 0,
      output: expect.stringContaining('"name":"every-5-seconds"'),
    });
    await until("two verified calls", () => (received.output().match(/^verified/gm) ?? []).length >= 2);
    expect(received.output()).toContain("hello: 'world'");

    const listed = runShell(`export DOWNBEAT_API_KEY=${key}\n${list}`);
    expect({ code: await listed.exit, output: listed.output() }).toEqual({
      code: 0,
      output: expect.stringMatching(/every-5-seconds +succeeded +1 +\d+ ms +204/),
    });
  },
);
