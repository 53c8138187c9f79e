import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/downbeat.js", import.meta.url));

export interface Started {
  process: ChildProcess;
  output(): string;
  /** Resolves with the first line after `from` that matches, or rejects when the process ends without one. */
  line(pattern: RegExp, from?: number): Promise<string>;
  exit: Promise<number | null>;
}

/** `downbeat …` as a process, with ports nobody else has and its state in `state`. */
export function startDownbeat(state: string, ...parameters: string[]): Started {
  const ports = { DOWNBEAT_API_PORT: "0", DOWNBEAT_POSTGRES_PORT: "0", DOWNBEAT_SQS_PORT: "0", DOWNBEAT_RECEIVER_PORT: "0" };
  const env = { PATH: process.env["PATH"], DOWNBEAT_STATE_DIR: state, ...ports };
  const child = spawn(process.execPath, [program, ...parameters], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const waiting = new Set<() => void>();
  const onData = (chunk: Buffer) => {
    output += chunk.toString();
    for (const look of waiting) look();
  };
  child.stdout.on("data", onData);
  child.stderr.on("data", onData);
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  const line = (pattern: RegExp, from = 0) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = output
          .slice(from)
          .split("\n")
          .find((text) => pattern.test(text));
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void exit.then((code) => reject(new Error(`ended with ${code} before ${pattern}:\n${output}`)));
    });
  return { process: child, output: () => output, line, exit };
}
