import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { Lifecycle, type RunningService } from "@downbeat/runtime/lifecycle.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { LoopProgress } from "@downbeat/runtime/loop-progress.ts";
import { systemRandom } from "@downbeat/runtime/random.ts";
import { connect } from "@downbeat/store/connect.ts";
import { listenForDue } from "@downbeat/store/listen-for-due.ts";
import { auditLedger } from "./audit-ledger.ts";
import type { DispatcherConfig } from "./config.ts";
import { dispatchLoop } from "./dispatch-loop.ts";
import { createProcessReport } from "./process-report.ts";
import { upkeepLoop, upkeepOnce, type UpkeepOptions } from "./upkeep-loop.ts";
import { WakeSignal } from "./wake-signal.ts";
import { watchTzdata } from "./watch-tzdata.ts";

/** Claiming, sweeping and marking overlap; four connections were enough for every load measured. */
const connectionsMax = 4;

/**
 * The dispatcher: claims what is due and hands it to the queue.
 *
 * Correct with none running for an hour, and with several at once: who claims what is decided by row locks, what is new by the run's deterministic id. It keeps no state of its
 * own, so it may be killed at any instant; the next pass of any dispatcher finds what it left (sweep).
 */
export async function runDispatcher(config: DispatcherConfig, { log }: { log: Log }): Promise<RunningService> {
  const lifecycle = new Lifecycle();
  const dispatcher = `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;

  const progress = new LoopProgress(systemClock);
  const observed = await observe(config, { log, progress, draining: lifecycle.signal });
  lifecycle.onClose("operations", () => observed?.operations.close());

  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_dispatcher", connectionsMax, applicationName: "downbeat-dispatcher" });
  lifecycle.onClose("postgres", () => sql.end({ timeout: 2 }));

  const queue = createQueueClient({
    region: config.AWS_REGION,
    ...(config.AWS_ENDPOINT_URL === undefined ? {} : { endpoint: config.AWS_ENDPOINT_URL }),
    socketsMax: config.SENDS_IN_FLIGHT,
  });
  lifecycle.onClose("queue", () => queue.destroy());

  const wake = new WakeSignal();
  if (config.DISPATCH_FOR_SECONDS !== 0)
    lifecycle.onClose(
      "listener",
      listenForDue(config.DATABASE_URL, () => wake.ring()),
    );

  const upkeepSql = connect({
    url: config.DATABASE_URL,
    role: "downbeat_dispatcher",
    connectionsMax: 1,
    applicationName: "downbeat-upkeep",
  });
  lifecycle.onClose("postgres for upkeep", () => upkeepSql.end({ timeout: 2 }));
  const upkeep = upkeepOf(config, { sql: upkeepSql, clock: systemClock, log, dispatcher, signal: lifecycle.signal });

  const report = createProcessReport({ clock: systemClock, log });
  const passes = dispatchLoop({
    sql,
    queue,
    clock: systemClock,
    random: systemRandom,
    log,
    config,
    dispatcher,
    signal: lifecycle.signal,
    wake,
    progress,
    ...(observed === undefined ? {} : { metrics: observed.metrics }),
    onClaimed: () => {
      report.claimed();
      progress.note();
    },
  });
  const done = config.DISPATCH_FOR_SECONDS === 0 ? passes.then(() => upkeepOnce(upkeep)) : passes;
  const ended = done.finally(() => report.ended());
  lifecycle.onClose("passes", () => ended.catch(() => {}));
  if (config.DISPATCH_FOR_SECONDS !== 0) {
    const upkept = upkeepLoop(upkeep);
    // A step ends within seconds; one that hangs on a dead connection must not hold up the end of the process.
    lifecycle.onClose("upkeep", () => Promise.race([upkept, systemClock.sleep(upkeepCloseMsMax)]));
  }
  observed?.operations.started();
  return { ended, close: () => lifecycle.close(log) };
}

const upkeepCloseMsMax = 10_000;

/** Where a port is given; what it takes to answer there is loaded only then. */
async function observe(config: DispatcherConfig, parts: { log: Log; progress: LoopProgress; draining: AbortSignal }) {
  if (config.METRICS_PORT === undefined) return undefined;
  const { observeDispatcher } = await import("./observe-dispatcher.ts");
  // With the one for upkeep and the one that listens.
  return observeDispatcher({ ...parts, config, connectionsMax: connectionsMax + 2 });
}

/** The zones come first: a new version of them decides what the audit expects. */
function upkeepOf(config: DispatcherConfig, parts: Omit<UpkeepOptions, "jobs">): UpkeepOptions {
  const tzdata = { name: "watch the time zone database", runOnce: () => watchTzdata({ ...parts, version: process.versions.tz ?? null }) };
  const everyMs = config.AUDIT_EVERY_SECONDS * 1_000;
  const audit = {
    name: "audit the ledger",
    runOnce: () => auditLedger({ ...parts, everyMs, windowMs: config.AUDIT_WINDOW_HOURS * 3_600_000 }),
  };
  return { ...parts, jobs: everyMs === 0 ? [tzdata] : [tzdata, audit] };
}
