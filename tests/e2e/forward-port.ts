import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "@downbeat/embedded/postgres.ts";
import type { Kubectl } from "./kubectl.ts";

export interface ForwardedPort {
  /** On 127.0.0.1. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Runs a command until it ends or standard input closes, which it does with this process, however that went: a test runner that is interrupted kills its workers without a word. The shell's
 * input is held by descriptor 3, because what it starts in the background is given none.
 */
const untilGone = 'exec 3<&0; "$@" 3<&- & child=$!; { cat <&3 >/dev/null; kill $child; } 2>/dev/null & wait $child';

/** kubectl ends with the pod it had chosen; the next one is chosen anew, this much later. */
const reconnectMs = 200;

/** Makes a port of a Service reachable on this machine until it is closed, also while its pods come and go. */
export async function forwardPort(kubectl: Kubectl, service: string, remotePort: number): Promise<ForwardedPort> {
  const port = await freePort();
  const command = [
    "-c",
    untilGone,
    "sh",
    "kubectl",
    ...kubectl.target,
    "port-forward",
    "--address",
    "127.0.0.1",
    `service/${service}`,
    `${port}:${remotePort}`,
  ];
  let child: ChildProcess | undefined;
  let isClosed = false;
  const end = () => void child?.stdin?.end();

  /** Resolves when the port is open; `ended`, when it is closed again. */
  const open = () =>
    new Promise<{ ended: Promise<void> }>((resolve, reject) => {
      const started = spawn("sh", command, { stdio: ["pipe", "pipe", "pipe"] });
      child = started;
      let told = "";
      started.stderr.on("data", (text: Buffer) => (told = text.toString().trim()));
      const ended = new Promise<void>((done) => {
        started.once("exit", () => {
          started.stdin.end();
          reject(new Error(`cannot forward ${service}:${remotePort}: ${told}`));
          done();
        });
      });
      started.once("error", reject);
      started.stdout.once("data", () => resolve({ ended }));
    });

  let { ended } = await open();
  const kept = (async () => {
    for (;;) {
      await ended;
      if (isClosed) return;
      await sleep(reconnectMs);
      // While no pod is ready it fails; the next try may find one.
      ({ ended } = await open().catch(() => ({ ended: Promise.resolve() })));
      if (isClosed) end();
    }
  })();
  return {
    port,
    async close() {
      isClosed = true;
      end();
      await kept;
    },
  };
}
