import { spawn } from "node:child_process";

/**
 * Runs a command when this process is gone, however it went: a test runner that is interrupted kills its workers without a word. A shell in a process group of its own waits at the end of a
 * pipe that closes with this process. Answers a function that has it done now.
 */
export function whenGone(command: readonly [string, ...string[]]): () => Promise<void> {
  const child = spawn("sh", ["-c", 'cat >/dev/null; exec "$@"', "sh", ...command], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.unref();
  return async () => {
    child.ref();
    child.stdin.end();
    await exited;
  };
}
