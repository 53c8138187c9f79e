#!/usr/bin/env node
// The sources are TypeScript that Node 24 runs as it stands. Where the machine's own Node is older, the one that `npm ci` brought takes over. This file is
// plain JavaScript for that reason: the old Node has to be able to read it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const majorNeeded = 24;

if (Number.parseInt(process.versions.node, 10) >= majorNeeded) {
  await import("../src/main.ts");
} else {
  const node = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));
  if (existsSync(node)) {
    runWith(node);
  } else {
    process.stderr.write(
      `error: Downbeat needs Node ${majorNeeded}, this is ${process.version}, and ${node} is missing: run npm ci in the clone\n`,
    );
    process.exitCode = 1;
  }
}

/** Starts this file again with `node`, hands on the signals that ask for an orderly end, and ends as the child ended. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl+C to both processes, so the child may see it twice; it takes signals that close together for one.
  const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of forwarded) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`error: cannot start ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of forwarded) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
