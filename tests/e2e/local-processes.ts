import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);

export function mainOf(service: "api" | "dispatcher" | "executor" | "cli"): string {
  return fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
}

/** Runs one command of the CLI and answers the JSON it printed. */
export async function runCli<Answer>(parameters: readonly string[], environment: Readonly<Record<string, string>>): Promise<Answer> {
  const { stdout } = await execute(process.execPath, [mainOf("cli"), ...parameters, "--json"], {
    env: { PATH: process.env["PATH"], ...environment },
  });
  return JSON.parse(stdout) as Answer;
}

/** The very receiver that runs in a pod, as a process. */
export async function startReceiverProcess(): Promise<{ url: string; close(): Promise<void> }> {
  const script = fileURLToPath(new URL("receiver.mjs", import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  // A test run that is interrupted takes it along.
  const end = () => void child.kill("SIGKILL");
  process.once("exit", end);
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", () => reject(new Error("the receiver ended before it listened")));
  });
  return {
    url,
    async close() {
      end();
      process.off("exit", end);
      await exited;
    },
  };
}
