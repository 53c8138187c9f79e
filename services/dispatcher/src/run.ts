import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createQueueClient } from "@downbeat/queue/client.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { Lifecycle, type RunningService } from "@downbeat/runtime/lifecycle.ts";
import type { Log } from "@downbeat/runtime/log.ts";
import { systemRandom } from "@downbeat/runtime/random.ts";
import { connect } from "@downbeat/store/connect.ts";
import { listenForDue } from "@downbeat/store/listen-for-due.ts";
import type { DispatcherConfig } from "./config.ts";
import { dispatchLoop } from "./dispatch-loop.ts";
import { WakeSignal } from "./wake-signal.ts";

/**
 * The dispatcher: claims what is due and hands it to the queue.
 *
 * Correct with none running for an hour, and with several at once: who claims what is decided by row locks, what is new by the run's deterministic id. It keeps no state of its
 * own, so it may be killed at any instant; the next pass of any dispatcher finds what it left (sweep).
 */
export async function runDispatcher(config: DispatcherConfig, { log }: { log: Log }): Promise<RunningService> {
  const lifecycle = new Lifecycle();
  const dispatcher = `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;

  // Claiming, sweeping and marking overlap; four connections were enough for every load measured.
  const sql = connect({ url: config.DATABASE_URL, role: "downbeat_dispatcher", connectionsMax: 4, applicationName: "downbeat-dispatcher" });
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

  const ended = dispatchLoop({
    sql,
    queue,
    clock: systemClock,
    random: systemRandom,
    log,
    config,
    dispatcher,
    signal: lifecycle.signal,
    wake,
  });
  lifecycle.onClose("passes", () => ended.catch(() => {}));
  return { ended, close: () => lifecycle.close(log) };
}
