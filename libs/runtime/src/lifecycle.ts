import { describeError, type Log } from "./log.ts";
import { listenForStop } from "./stop-signals.ts";

/**
 * What a service has opened, in the order it was opened. `run.ts` registers the close of each part on the line after its
 * construction; shutdown closes them last-in first-out, each once, under one deadline.
 */
export class Lifecycle {
  readonly #closers: { name: string; close: () => unknown }[] = [];
  readonly #stopping = new AbortController();
  #closed: Promise<void> | undefined;

  /** Aborts when shutdown begins: loops stop taking new work. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  onClose(name: string, close: () => unknown): void {
    this.#closers.push({ name, close });
  }

  /** Closes everything. Safe to call twice. One part that fails to close does not keep the others open. */
  close(log: Log): Promise<void> {
    this.#closed ??= this.#closeAll(log);
    return this.#closed;
  }

  async #closeAll(log: Log): Promise<void> {
    this.#stopping.abort();
    for (const { name, close } of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        log.error({ err: error, part: name }, `cannot close ${name}: ${describeError(error)}`);
      }
    }
  }
}

/** A service that has been wired and started by its `run.ts`. */
export interface RunningService {
  /** Resolves when the service has ended by itself (the dispatcher's minute is over), or after `close`. Rejects when it failed. */
  readonly ended: Promise<void>;
  /** Stops taking work, finishes or hands back what is in flight, and frees every resource. */
  close(): Promise<void>;
}

/**
 * Runs a service as a process: SIGTERM and SIGINT drain it, another one a while later or `shutdownMs` ends it at once. Exit codes:
 * 0 ended or drained, 1 failed, 2 wrong configuration, 124 the drain ran out of time.
 */
export async function runProcess(start: () => Promise<RunningService>, options: { log: Log; shutdownMs: number }): Promise<void> {
  const { log, shutdownMs } = options;
  let service: RunningService | undefined;
  listenForStop({
    onStop: () => {
      log.info("stopping");
      setTimeout(() => {
        log.error({ shutdownMs }, "did not stop in time");
        process.exit(124);
      }, shutdownMs).unref();
      if (service === undefined) process.exit(0);
      void service.close().catch((error: unknown) => log.error({ err: error }, "shutdown failed"));
    },
    onForce: () => process.exit(1),
  });
  try {
    service = await start();
    await service.ended;
    await service.close();
    process.exitCode = 0;
  } catch (error) {
    log.fatal({ err: error }, `ended: ${describeError(error)}`);
    await service?.close();
    process.exitCode = 1;
  }
  // Everything is closed; a handle some library forgot must not keep a Kubernetes Job alive.
  setTimeout(() => process.exit(), 1_000).unref();
}
