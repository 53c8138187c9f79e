/**
 * `make check`: everything that can be said about the sources without running them. Each step prints one line, and what it found only when it failed; all
 * steps run, so that one round shows everything. A step that passed may add to its line with `note: …`, for example what it had to leave out. Exit code 1 when one failed.
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
  { name: "chart renders valid manifests", command: ["node", "scripts/chart/check-manifests.ts"] },
  { name: "chart values are documented and in the schema", command: ["node", "scripts/chart/check-values.ts"] },
  { name: "chart readme is current", command: ["node", "scripts/chart/write-readme.ts", "--check"] },
  { name: "plain manifests are current", command: ["node", "scripts/chart/write-plain-manifests.ts", "--check"] },
  { name: "alert rules and dashboards", command: ["node", "scripts/chart/check-alert-rules.ts"] },
  { name: "table of metrics is current", command: ["node", "scripts/write-metrics.ts", "--check"] },
];

let failures = 0;
for (const { name, command } of steps) {
  const { isOk, output } = await run(command);
  if (!isOk) failures += 1;
  const [, note] = /^note: (.+)$/m.exec(output) ?? [];
  process.stdout.write(isOk ? `ok      ${name}${note === undefined ? "" : ` (${note})`}\n` : `failed  ${name}\n${indent(output)}`);
}
process.exitCode = failures === 0 ? 0 : 1;

/** Runs one tool of `node_modules/.bin`, which the Makefile has put on the path. */
function run([program = "", ...parameters]: readonly string[]): Promise<{ isOk: boolean; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      const text = chunk.toString();
      // Whoever waits for a download is told at once.
      if (text.startsWith("fetching ")) process.stderr.write(text);
      else output += text;
    });
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
