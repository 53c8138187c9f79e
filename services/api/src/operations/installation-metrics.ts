import { describeError, type Log } from "@downbeat/runtime/log.ts";
import { metricsText, type MetricsText } from "@downbeat/runtime/process-metrics.ts";
import { shareInFlight } from "@downbeat/runtime/share-in-flight.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { Gauge, Registry } from "@prometheus-io/client";
import { auditGauges } from "./audit-gauges.ts";
import { countedMax, type Installation, readInstallation } from "./read-installation.ts";
import { type QueueDepths, type QueueToTell, readQueues } from "./read-queues.ts";

export interface InstallationMetricsOptions {
  sql: Sql;
  queue: QueueToTell | undefined;
  /** The process's own numbers, told along with the others. */
  registry: Registry;
  log: Log;
}

/** How long Postgres and the queue may take; a scrape's own limit is 10 s by default, and what is known is worth telling. */
const readMsMax = 2_500;

/**
 * The numbers of the installation: whether dispatchers pass, what is due, how deep the queues are. A dispatcher that lives for a minute cannot be asked, so the API answers for it, from the database and the queue, every API process the
 * same. Each scrape reads anew, scrapes at the same time share one reading, and none waits longer than `readMsMax`: what could not be read is absent, because a zero would say that all is well.
 */
export function installationMetrics({ sql, queue, registry, log }: InstallationMetricsOptions): () => Promise<MetricsText> {
  // Shared beyond a scrape's time: while a Postgres that is away leaves one reading hanging, later scrapes do not take more of the pool.
  const readDatabase = shareInFlight(() => readInstallation(sql, readMsMax));
  return shareInFlight(async () => {
    const [installation, depths] = await Promise.all([
      withinTime(readDatabase()).catch((error: unknown) => {
        log.debug({ err: error }, `cannot read metrics: ${describeError(error)}`);
        return undefined;
      }),
      queue === undefined ? undefined : readQueues(queue, readMsMax),
    ]);
    const own = new Registry();
    postgresGauges(own, installation);
    if (depths !== undefined) queueGauges(own, depths);
    return metricsText(Registry.merge([registry, own]));
  });
}

function withinTime<Result>(reading: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Postgres has not answered for ${readMsMax} ms`)), readMsMax);
  return Promise.race([reading, late]).finally(() => clearTimeout(timer));
}

/** Adds what the database says; undefined: it said nothing. */
export function postgresGauges(registry: Registry, installation: Installation | undefined): void {
  const gauge = (name: string, help: string, value: number) => new Gauge({ name, help, registers: [registry] }).set(value);
  gauge(
    "downbeat_postgres_up",
    "1 when Postgres answered this scrape, else 0, and what only it knows is absent.",
    installation === undefined ? 0 : 1,
  );
  if (installation === undefined) return;
  const { lastPassAgeSeconds, passes, due, overdueRuns, audit } = installation;
  if (lastPassAgeSeconds !== null) {
    gauge(
      "downbeat_last_pass_age_seconds",
      "Time since a dispatcher last finished a pass, well or not. Absent before the first.",
      lastPassAgeSeconds,
    );
  }
  const byResult = (name: string, help: string, values: Record<string, number>) => {
    const gauges = new Gauge({ name, help, labelNames: ["result"], registers: [registry] });
    for (const [result, value] of Object.entries(values)) gauges.set({ result }, value);
  };
  const { ok, error, claimed, missed, sent, sendFailed, swept } = passes;
  byResult(
    "downbeat_passes_last_5m",
    "Passes of all dispatchers that began in the last 5 minutes: `ok`, or `error` where Postgres or the queue failed them.",
    { ok, error },
  );
  byResult(
    "downbeat_pass_runs_last_5m",
    "What these passes did: runs `claimed`, occurrences `missed`, runs `sent` to the queue or not taken by it (`send_failed`), silent runs taken up again (`swept`).",
    {
      claimed,
      missed,
      sent,
      send_failed: sendFailed,
      swept,
    },
  );
  gauge("downbeat_due_backlog", `Schedules that are due and not claimed; counted to ${countedMax}.`, due.schedules);
  gauge(
    "downbeat_overdue_schedules_age_seconds",
    "How long the first of the schedules that are due has been so. 0 when there is none.",
    due.ageSeconds,
  );
  gauge(
    "downbeat_overdue_runs",
    `Runs that should have started more than 30 s ago and do not wait for another run of their schedule; counted among the ${countedMax} live runs that are looked after next.`,
    overdueRuns,
  );
  if (audit !== undefined) auditGauges(gauge, audit);
}

/** Adds the depths that could be read. */
export function queueGauges(registry: Registry, { main, deadLetter }: QueueDepths): void {
  const isUp = main !== undefined && deadLetter !== undefined;
  new Gauge({
    name: "downbeat_queue_up",
    help: "1 when the depths of both the queue and its dead-letter queue could be read, else 0.",
    registers: [registry],
  }).set(isUp ? 1 : 0);
  const messages = new Gauge({
    name: "downbeat_queue_messages",
    help: "Messages in the `main` and the `dead_letter` queue, approximately, as SQS counts them: `visible`, `in_flight`, and `delayed` until their runs are near. Absent when the queue cannot be read.",
    labelNames: ["queue", "state"],
    registers: [registry],
  });
  for (const [queue, depth] of Object.entries({ main, dead_letter: deadLetter })) {
    if (depth === undefined) continue;
    const states = { visible: depth.visible, in_flight: depth.inFlight, delayed: depth.delayed };
    for (const [state, value] of Object.entries(states)) messages.set({ queue, state }, value);
  }
}
