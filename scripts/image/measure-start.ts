import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function docker(...parameters: string[]): Promise<string> {
  const { stdout, stderr } = await run("docker", parameters, { maxBuffer: 16 * 1024 * 1024 });
  return stdout + stderr;
}

export interface Role {
  name: "dispatcher" | "executor" | "api";
  image: string;
  /** Message of the log line that says that the start is over. */
  readyMessage: string;
  /** True for a process that ends by itself. */
  endsItself: boolean;
}

/** All in ms, but for the memory. */
export interface Start {
  /** From the start of the container's process, as the engine recorded it, to the line that says that it is ready. */
  readyMs: number;
  /** From the start of Node to that line, and the CPU time in it, where the line tells. */
  sinceStartMs: number | undefined;
  cpuMs: number | undefined;
  peakRssMiB: number;
  /** From SIGTERM to the end; undefined for a process that ends by itself. */
  stopMs: number | undefined;
}

interface Line {
  time: string;
  msg?: string;
  sinceStartMs?: number;
  cpuMs?: number;
  peakRssMiB?: number;
}

const deadlineMs = 60_000;

/** Starts the role in a new container with these parameters of `docker run`, and removes it. Throws when it does not end with exit code 0. */
export async function measureStart(role: Role, runParameters: readonly string[]): Promise<Start> {
  const container = (await docker("run", "--detach", ...runParameters, role.image, "node", `/app/lib/${role.name}.js`)).trim();
  try {
    const ready = await untilLogged(container, role.readyMessage);
    if (role.endsItself) await docker("wait", container);
    const peakRssMiB = role.endsItself ? undefined : await peakOfRunning(container);
    const stopAtMs = performance.now();
    if (!role.endsItself) await docker("stop", container);
    const stopMs = role.endsItself ? undefined : performance.now() - stopAtMs;
    const [startedAt = "", exitCode] = (await docker("inspect", "--format", "{{.State.StartedAt}} {{.State.ExitCode}}", container))
      .trim()
      .split(" ");
    if (exitCode !== "0") throw new Error(`${role.name} ended with exit code ${exitCode}:\n${await docker("logs", container)}`);
    const lines = await readLines(container);
    return {
      readyMs: Date.parse(ready.time) - Date.parse(startedAt),
      sinceStartMs: ready.sinceStartMs,
      cpuMs: ready.cpuMs,
      peakRssMiB: peakRssMiB ?? lines.find(({ msg }) => msg === "ended")?.peakRssMiB ?? Number.NaN,
      stopMs,
    };
  } finally {
    await docker("rm", "--force", container);
  }
}

async function untilLogged(container: string, message: string): Promise<Line> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const line = (await readLines(container)).find(({ msg }) => msg === message);
    if (line !== undefined) return line;
    if (performance.now() > endMs) throw new Error(`no "${message}" within ${deadlineMs} ms:\n${await docker("logs", container)}`);
  }
}

async function readLines(container: string): Promise<Line[]> {
  return (await docker("logs", container))
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
}

/** The kernel's own record of the most memory process 1 has held. */
async function peakOfRunning(container: string): Promise<number> {
  const status = await docker("exec", container, "cat", "/proc/1/status");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
}
