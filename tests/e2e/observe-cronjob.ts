/**
 * `make observe-cronjob MINUTES=30 PER_MINUTE=60`: watches the CronJob on the cluster while PER_MINUTE occurrences fall due each minute. One Job for each minute; how long from the minute to
 * its pod and its first claim; how much memory the dispatcher takes; and how late occurrences start although the CronJob fires once a minute.
 *
 * Prints a table and, as the last line, JSON. Exit code 1 when a minute had another number of Jobs than one, or the ledger does not balance.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { numberOption } from "../bench/options.ts";
import { balance } from "./balance.ts";
import { openClusterSystem } from "./cluster-system.ts";
import { describeDistribution, type Distribution, distributionOf } from "./distribution.ts";
import { JobSightings } from "./job-sightings.ts";
import { allEnded, readLedger } from "./ledger.ts";
import { scheduleMinutely } from "./minutely.ts";
import { printResult, runTool, tell } from "./tool.ts";

const minutes = numberOption("MINUTES", 30, 1, 1_440);
const perMinute = numberOption("PER_MINUTE", 60, 1, 6_000);

/** Jobs of the last few minutes stay to be looked at, so this needs not be often. */
const lookEveryMs = 5_000;
const minuteMs = 60_000;

await runTool(openClusterSystem, async (system) => {
  const { tenant, firstAt, endAt, expected } = await scheduleMinutely(system, { purpose: "observe", perMinute, minutes });
  tell(`${perMinute} occurrences a minute until ${new Date(endAt).toISOString()}`);
  // Whole minutes that lie within, each of which has to have its Job.
  const firstMinute = Math.ceil(Date.now() / minuteMs) * minuteMs;
  const lastMinute = firstMinute + (minutes - 1) * minuteMs;
  const sightings = new JobSightings(system.kubectl);
  let told = 0;
  // The last Job goes on for a minute after it was started, and says what it took when it ends.
  while (Date.now() < Math.max(endAt, lastMinute + minuteMs + 3 * lookEveryMs)) {
    await sightings.look();
    const over = [...sightings.jobs.values()].filter(({ isOver }) => isOver).length;
    if (over > told) tell(`${(told = over)} Jobs are over`);
    await sleep(lookEveryMs);
  }
  await allEnded(system.sql, tenant, system.settleMsMax);
  const result = balance(expected, await readLedger(system.sql, tenant.id), { calls: await tenant.calls(), secret: tenant.secret });
  await tenant.clear();

  const jobs = [...sightings.jobs.values()].filter(({ minuteAt }) => minuteAt >= firstMinute && minuteAt <= lastMinute);
  const perMinuteOf = Array.from({ length: minutes }, (_, index) => firstMinute + index * minuteMs);
  const odd = perMinuteOf.filter((at) => jobs.filter(({ minuteAt }) => minuteAt === at).length !== 1);
  const passes = await system.sql<{ dispatcher: string; at: number; tookMs: number }[]>`
    select distinct on (dispatcher) dispatcher, (extract(epoch from started_at) * 1000)::float8 as at,
      (extract(epoch from finished_at - started_at) * 1000)::float8 as "tookMs"
    from downbeat.dispatch_passes where started_at >= to_timestamp(${firstMinute / 1_000}) order by dispatcher, started_at`;
  const firstPassOf = (pods: ReadonlySet<string>) =>
    passes.find(({ dispatcher }) => [...pods].some((pod) => dispatcher.startsWith(`${pod}-`)));
  const each = jobs.map((job) => ({ ...job, pass: firstPassOf(job.pods) }));
  const found = (values: readonly (number | undefined)[]) => distributionOf(values.filter((value) => value !== undefined));
  const delays: Record<string, Distribution> = {
    "minute to Job (whole s), ms": found(each.map(({ createdAt, minuteAt }) => createdAt - minuteAt)),
    "Job to container (whole s), ms": found(each.map(({ startedAt, createdAt }) => startedAt && startedAt - createdAt)),
    "Node's start to first claim, ms": found(each.map(({ firstClaimMs }) => firstClaimMs)),
    "minute to first pass, ms": found(each.map(({ pass, minuteAt }) => pass && pass.at - minuteAt)),
    "first pass took, ms": found(each.map(({ pass }) => pass?.tookMs)),
    "peak memory of the process, MiB": found(each.map(({ peakRssMiB }) => peakRssMiB)),
    "working set of the pod, MiB": found(each.map(({ workingSetMiB }) => workingSetMiB)),
  };
  const isKept = odd.length === 0 && result.lost + result.unexpected + result.duplicates + result.early + result.unverified === 0;
  printResult(
    `CronJob over ${minutes} minutes: ${isKept ? "one Job a minute, every occurrence called once" : "NOT AS IT SHOULD BE"}`,
    [
      [
        "Jobs",
        `${jobs.length} for ${minutes} minutes${odd.length === 0 ? "" : `; not one at ${odd.map((at) => new Date(at).toISOString()).join(", ")}`}`,
      ],
      ...Object.entries(delays).map(([name, values]) => [name, describeDistribution(values, "")] as const),
      ["occurrences", `${result.expected} expected, ${result.recorded} recorded, ${result.lost} lost, ${result.duplicates} called twice`],
      ["lag", describeDistribution(result.lagMs, "ms")],
    ],
    { minutes, perMinute, kept: isKept, jobs: jobs.length, odd, delays, ...result, firstAt, endAt },
  );
  return isKept;
});
