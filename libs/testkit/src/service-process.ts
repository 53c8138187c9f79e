import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FailpointName } from "@downbeat/runtime/failpoint.ts";
import { deadlineMs } from "./deadline.ts";

/** One JSON log line. */
export interface LogLine {
  level: string;
  /** ISO 8601 */
  time: string;
  msg?: string;
  action?: string;
  failures?: number;
  retryInMs?: number;
  [field: string]: unknown;
}

export interface ProcessExit {
  /** Null when a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A service as a process of its own, to be watched through its log and killed at a chosen place. */
export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  /** What it has printed so far, standard output and error, line by line. */
  readonly output: readonly string[];
  readonly logs: readonly LogLine[];
  /** Resolves when it is gone and everything it printed has been read. */
  readonly exited: Promise<ProcessExit>;
  readonly isAlive: boolean;
  /** Resolves with the first log line, past or to come, that `matches`. Rejects when the process ends, or the deadline passes, without one; `what` says what was waited for. */
  logged(what: string, matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** Resolves when the process stands at the failpoint it was started with. */
  atFailpoint(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<void>;
}

export type ServiceProcessOptions = ServiceProcessSettings &
  (
    | {
        /** Path of the service's `main.ts`, started with the Node that runs the test. */
        main: string;
      }
    | { command: readonly [program: string, ...parameters: string[]] }
  );

interface ServiceProcessSettings {
  name: string;
  /** All of its environment, except what Node itself needs. */
  environment: Readonly<Record<string, string>>;
  /** Where it shall stop for ever: a failpoint, with `:n` at its n-th passage. */
  failpoint?: FailpointName | `${FailpointName}:${number}`;
}

const compileCache = fileURLToPath(new URL("../../../node_modules/.cache/node", import.meta.url));

/** Children that still run. A test's process that ends takes them with it. */
const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export function startServiceProcess(options: ServiceProcessOptions): ServiceProcess {
  const { name, environment, failpoint } = options;
  const [program, ...parameters] = "main" in options ? [process.execPath, options.main] : options.command;
  const child = spawn(program, parameters, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      TZ: "UTC",
      // Halves the time to start, most of which is compiling the AWS SDK.
      NODE_COMPILE_CACHE: compileCache,
      ...environment,
      ...(failpoint === undefined ? {} : { DOWNBEAT_FAILPOINT: failpoint }),
    },
  });
  if (child.pid === undefined) throw new Error(`cannot start ${name} (${[program, ...parameters].join(" ")})`);
  const pid = child.pid;
  const output: string[] = [];
  const logs: LogLine[] = [];
  const waiting = new Set<() => void>();
  let exit: ProcessExit | undefined;

  const read = (line: string) => {
    output.push(line);
    const parsed = parseLogLine(line);
    if (parsed !== undefined) logs.push(parsed);
    for (const look of waiting) look();
  };
  createInterface({ input: child.stdout }).on("line", read);
  createInterface({ input: child.stderr }).on("line", read);
  children.add(child);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("close", (code, signal) => {
      children.delete(child);
      exit = { code, signal };
      resolve(exit);
      for (const look of waiting) look();
    });
  });

  /** Resolves as soon as `find` answers something, at each line anew. */
  const seen = <Found>(what: string, find: () => Found | undefined): Promise<Found> =>
    new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${name} ${why} before ${what}. Its last lines:\n${output.slice(-15).join("\n")}`));
      const settle = (conclude: () => void) => {
        clearTimeout(timer);
        waiting.delete(look);
        conclude();
      };
      const look = () => {
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
        else if (exit !== undefined) settle(() => fail(`ended (${exit?.signal ?? exit?.code})`));
      };
      const timer = setTimeout(() => settle(() => fail(`was silent for ${deadlineMs} ms`)), deadlineMs);
      waiting.add(look);
      look();
    });

  return {
    name,
    pid,
    output,
    logs,
    exited,
    get isAlive() {
      return exit === undefined;
    },
    logged: (what, matches) => seen(what, () => logs.find(matches)),
    atFailpoint: async () => {
      const line = `failpoint ${failpoint?.split(":")[0]}`;
      await seen(line, () => (output.includes(line) ? true : undefined));
    },
    signal: (signalName) => void child.kill(signalName),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}
