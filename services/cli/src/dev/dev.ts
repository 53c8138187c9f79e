/**
 * `downbeat dev`: everything in one process, except Postgres, which is a child. What it holds is on disk at every instant, so it may end in any way; this file is about leaving
 * nothing behind however it ends.
 */
import type { EmbeddedPostgres } from "@downbeat/embedded/postgres.ts";
import { Lifecycle } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import type { Cli } from "../cli.ts";
import type { DevConfig } from "../config.ts";
import { exitCodes, explainFailure, Failure } from "../failure.ts";
import { readDevState, stateFolder } from "../state-folder.ts";
import { openDevLog } from "./dev-log.ts";
import { makeStateFolder, postgresFolder } from "./dev-state.ts";
import { leftoverPostgres } from "./leftover-postgres.ts";
import { takeLock } from "./lock.ts";
import { runDemo } from "./make-demo.ts";
import { checkPorts } from "./ports.ts";
import { type DevInstallation, startDev } from "./start-dev.ts";
import { listenForStop } from "@downbeat/runtime/stop-signals.ts";

/** From Ctrl+C to the last process gone takes 5 s at most; what is left after this is ended the hard way. */
const stopMsMax = 4_000;
const killMsMax = 800;

/** Runs until told to stop and answers the exit code. */
export async function runDev(config: DevConfig, cli: Cli): Promise<number> {
  const folder = stateFolder(cli.environment);
  await makeStateFolder(folder);
  const lock = takeLock(folder);
  if (lock === undefined) throw new Failure(await describeRunning(folder));
  try {
    await checkPorts(config, leftoverPostgres(postgresFolder(folder))?.port);
    return await live(config, { cli, folder });
  } finally {
    lock.release();
  }
}

async function live(config: DevConfig, { cli, folder }: { cli: Cli; folder: string }): Promise<number> {
  const print = (line: string) => cli.print(line);
  const devLog = openDevLog(folder, print);
  const log = createLog("dev", config.LOG_LEVEL, devLog);
  const lifecycle = new Lifecycle();
  const stopping = new AbortController();
  const end = Promise.withResolvers<void>();
  let postgres: EmbeddedPostgres | undefined;
  let failure: unknown;
  const fail = (error: unknown) => {
    if (!stopping.signal.aborted) failure ??= error;
    else log.error({ err: error }, "failed while stopping");
    end.resolve();
  };

  // The last resort, also on the way out of a second Ctrl+C: Postgres drops everything at once and recovers at the next start.
  process.once("exit", () => quitPostgres(folder));
  process.on("uncaughtException", fail);
  const stopListening = listenForStop({ onStop: end.resolve, onForce: () => process.exit(130) });
  const started = startDev({
    config,
    folder,
    environment: cli.environment,
    lifecycle,
    stopping: stopping.signal,
    devLog,
    print,
    onFailure: fail,
    onPostgres: (running) => {
      postgres = running;
      running.process.once("exit", () => {
        if (!stopping.signal.aborted) fail(new Failure("Postgres ended by itself"));
      });
    },
  });
  started
    .then((installation) => welcome(installation, print))
    .catch((error: unknown) => {
      // Asked to stop, a start breaks off where it stands.
      if (!stopping.signal.aborted) fail(error);
    });

  await end.promise;
  stopping.abort();
  if (failure === undefined) print("stopping");
  // A start in progress ends at its next step; then everything it has opened is known to the lifecycle.
  const closed = started.catch(() => {}).then(() => lifecycle.close(log));
  if (!(await isSettledWithin(closed, stopMsMax))) {
    print("cut off what was still in flight: it is delivered after the next start");
    quitPostgres(folder);
    if (postgres !== undefined) await isSettledWithin(exited(postgres), killMsMax);
  }
  stopListening();
  devLog.close();
  return report(failure, cli);
}

/** Prints how to reach everything, and has the demo fire once. */
async function welcome(installation: DevInstallation, print: (line: string) => void): Promise<void> {
  const { apiUrl, apiKey, databaseUrl, sqsUrl, receiverUrl } = installation;
  const parts = [`API ${apiUrl}`, `Postgres ${databaseUrl}`, `SQS ${sqsUrl}`, `receiver ${receiverUrl}`, `key ${apiKey}`];
  print(`ready in ${process.uptime().toFixed(1)} s  ${parts.join("  ")}`);
  print(
    "each call that the receiver accepts is shown below; `npx downbeat runs list` shows what Downbeat recorded; Ctrl+C stops everything",
  );
  await runDemo(installation);
}

function report(failure: unknown, cli: Cli): number {
  if (failure === undefined) {
    cli.print("stopped");
    return exitCodes.ok;
  }
  const { lines, exitCode } = explainFailure(failure);
  for (const line of lines) cli.remark(`error: ${line}`);
  return exitCode;
}

async function describeRunning(folder: string): Promise<string> {
  const url = (await readDevState(folder).catch(() => undefined))?.environment["DOWNBEAT_URL"];
  const where = url === undefined ? "" : `, its API is ${url}`;
  return `\`downbeat dev\` is already running on ${folder}${where}: use that one, or stop it with Ctrl+C in its terminal`;
}

/** Also finds a server that was still starting. */
function quitPostgres(folder: string): void {
  const server = leftoverPostgres(postgresFolder(folder));
  if (server !== undefined) process.kill(server.pid, "SIGQUIT");
}

function exited({ process: child }: EmbeddedPostgres): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

function isSettledWithin(work: Promise<unknown>, withinMs: number): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), withinMs).unref())]);
}
