/**
 * `make check`: everything that can be said about the sources without running them. Each step prints one line, and what it found only when it failed; all
 * steps run, so that one round shows everything. Exit code 1 when one failed.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const steps: readonly { name: string; command: readonly string[] }[] = [
  { name: "format", command: ["oxfmt", "--check"] },
  { name: "lint", command: ["oxlint"] },
  { name: "types", command: ["tsc", "--noEmit", "-p", "tsconfig.json"] },
  { name: "openapi document is current", command: ["node", "services/api/src/write-openapi.ts", "--check"] },
  { name: "table of presets is current", command: ["node", "scripts/write-presets.ts", "--check"] },
  { name: "configuration table is current", command: ["node", "scripts/write-configuration.ts", "--check"] },
  { name: "table of metrics is current", command: ["node", "scripts/write-metrics.ts", "--check"] },
];

let failures = 0;
for (const { name, command } of steps) {
  const { isOk, output } = await run(command);
  if (!isOk) failures += 1;
  process.stdout.write(`${isOk ? "ok    " : "failed"}  ${name}\n${isOk ? "" : indent(output)}`);
}
process.exitCode = failures === 0 ? 0 : 1;

/** Runs one tool of `node_modules/.bin`, which the Makefile has put on the path. */
function run([program = "", ...parameters]: readonly string[]): Promise<{ isOk: boolean; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", (error) => resolve({ isOk: false, output: `cannot start ${program}: ${error.message}` }));
    child.once("close", (code) => resolve({ isOk: code === 0, output }));
  });
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `        ${line}\n`)
    .join("");
}
