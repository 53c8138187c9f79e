import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** Runs the process with this environment and nothing else. */
function run(environment: Record<string, string>): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL("main.ts", import.meta.url))], { env: environment });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("close", (code) => resolve({ code, output }));
  });
}

test("a process that is configured wrongly ends with exit code 2, names each variable, and repeats no value", async () => {
  const { code, output } = await run({ DATABASE_URL: "postgres://somebody:canary@db/downbeat", CLAIM_BATCH: "canary" });
  expect(code).toBe(2);
  expect(output).toMatch(/^SQS_QUEUE_URL is not set\. .+\nCLAIM_BATCH is wrong: .+\n$/);
  expect(output).not.toContain("canary");
});

test("a single pass that cannot be made ends with exit code 1 and says why on its last line", async () => {
  const { code, output } = await run({
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    SQS_QUEUE_URL: "http://127.0.0.1:1/000000000000/none",
    DISPATCH_FOR_SECONDS: "0",
  });
  expect(code).toBe(1);
  expect(JSON.parse(output.trim().split("\n").at(-1) ?? "")).toMatchObject({
    level: "fatal",
    role: "dispatcher",
    err: { code: "ECONNREFUSED" },
  });
});
