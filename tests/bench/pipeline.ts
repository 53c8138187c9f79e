/**
 * `make bench-pipeline N=10000 DELAY_MS=0 RULE=once`: N schedules due at one instant, from due rows in Postgres to the last call at a loopback sink, through real processes. The clock starts at
 * the instant; the dispatcher may hand runs to the queue before it, as it does in life. CPU, requests and transactions count from the first claim.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { arrangeEndpoint, arrangeSchedules, databaseNow, makeDue } from "@downbeat/testkit/arrange.ts";
import { withBenchSystem } from "./bench-system.ts";
import { numberOption } from "./options.ts";
import { printReport } from "./report.ts";

const runs = numberOption("N", 10_000, 1, 1_000_000);
const delayMs = numberOption("DELAY_MS", 0, 0, 60_000);
const executors = numberOption("EXECUTORS", 1, 1, 16);
/** `RULE=interval`: schedules that recur, whose runs pass the overlap gate; the default, one-offs, have no other run and skip it. */
const isRecurring = process.env["RULE"] === "interval";
/** Time to write the schedules and to claim them, so that the burst itself is measured and not its preparation. */
const leadMs = 6_000 + runs * 0.6;

await withBenchSystem({ delayMs, executors }, async (system) => {
  await system.startWorkers();
  const endpoint = await arrangeEndpoint(system.sql, system.sinkUrl);
  const dueAt = Math.ceil((await databaseNow(system.sql)) / 1_000) * 1_000 + leadMs;
  await arrangeSchedules(system.sql, endpoint, {
    rule: isRecurring ? { kind: "interval", intervalSeconds: 86_400, anchorAt: dueAt - 86_400_000 } : { kind: "once", runAt: dueAt },
    nextRunAt: dueAt,
    isDue: false,
    count: runs,
    // About 1 KB of body, as the reference figures have it.
    input: { text: "x".repeat(700) },
  });
  await system.sql`analyze downbeat.schedules`;
  process.stderr.write(`measuring ${runs} runs, due in ${Math.round(leadMs / 1_000)} s\n`);
  const before = await system.usage();
  await makeDue(system.sql, endpoint, dueAt);
  await system.delivered(runs, leadMs + 60_000 + runs * (10 + delayMs));
  const sink = await system.sinkReport();
  // Postgres publishes its counters up to a second late, and outcomes are recorded just after the last call.
  await sleep(1_500);
  const after = await system.usage();
  printReport(`${runs} runs due at one instant, sink answers after ${delayMs} ms, ${executors} executor(s)`, {
    runs,
    seconds: (sink.lastAtMs - dueAt) / 1_000,
    sink,
    before,
    after,
  });
});
