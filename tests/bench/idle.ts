/**
 * `make bench-idle N=100`: occurrences one at a time on an idle system. Each is a schedule of its own, due 373 ms after the one before, so that they fall on all parts of a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { withBenchSystem } from "./bench-system.ts";
import { numberOption } from "./options.ts";
import { printReport } from "./report.ts";

const runs = numberOption("N", 100, 1, 10_000);
const spacingMs = 373;

await withBenchSystem({ delayMs: 0, executors: 1 }, async (system) => {
  await system.startWorkers();
  const endpoint = await arrangeEndpoint(system.sql, system.sinkUrl);
  // More than a pass away, as a schedule is that was not written this moment.
  const firstAt = Math.ceil(await databaseNow(system.sql)) + 8_000;
  for (let number = 0; number < runs; number += 1) {
    const dueAt = firstAt + number * spacingMs;
    await arrangeSchedules(system.sql, endpoint, { rule: { kind: "once", runAt: dueAt }, nextRunAt: dueAt });
  }
  process.stderr.write(`measuring ${runs} occurrences, about ${Math.ceil((runs * spacingMs) / 1_000) + 8} s\n`);
  const before = await system.usage();
  await system.delivered(runs, runs * spacingMs + 60_000);
  const sink = await system.sinkReport();
  await sleep(1_500);
  const after = await system.usage();
  printReport(`${runs} occurrences, one every ${spacingMs} ms, on an idle system`, {
    runs,
    seconds: (sink.lastAtMs - firstAt) / 1_000,
    sink,
    before,
    after,
  });
});
