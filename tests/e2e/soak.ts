/**
 * `make test-soak MINUTES=10 PER_MINUTE=600 KILLS=10`: schedules that make PER_MINUTE occurrences due each minute, evenly spread, on the cluster, while KILLS dispatcher Jobs and
 * executor pods are ended at random. Then the balance: every occurrence has exactly one run, which came to its end, and the receiver saw each that succeeded.
 *
 *   MINUTES     how long (10)
 *   PER_MINUTE  occurrences due in each (600)
 *   KILLS       how many processes are ended (one a minute)
 *   SEED        of the random numbers that choose them; printed, so that a run can be repeated
 *
 * Prints a table and, as the last line, JSON. Exit code 1 when a promise is broken: something is lost or unexpected, unsigned or early, or called twice more often than executors were killed
 * or than leases were lost. Postgres is not killed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { numberOption } from "../bench/options.ts";
import { balance } from "./balance.ts";
import { describeDistribution } from "./distribution.ts";
import { killAtRandom } from "./kills.ts";
import { allEnded, readLedger } from "./ledger.ts";
import { scheduleMinutely } from "./minutely.ts";
import { seededRandom } from "./seeded-random.ts";
import { openToolSystem, printResult, runTool, tell } from "./tool.ts";

const minutes = numberOption("MINUTES", 10, 1, 1_440);
const perMinute = numberOption("PER_MINUTE", 600, 1, 6_000);
const kills = numberOption("KILLS", minutes, 0, 1_000);
const seed = numberOption("SEED", Math.floor(Math.random() * 2 ** 31), 0, 2 ** 31);

await runTool(openToolSystem, async (system) => {
  tell(`${minutes} min, ${perMinute} occurrences a minute, ${kills} kills, SEED=${seed}`);
  const { tenant, firstAt, endAt, expected } = await scheduleMinutely(system, { purpose: "soak", perMinute, minutes });
  tell(`${perMinute} schedules of ${tenant.slug}, from ${new Date(firstAt).toISOString()} to ${new Date(endAt).toISOString()}`);

  const progress = setInterval(
    () =>
      void tenant.calls().then(
        (calls) => tell(`${calls.length} calls`),
        () => {},
      ),
    60_000,
  );
  // The last ones are ended while there is still something to disturb.
  const killed = await killAtRandom(system, { random: seededRandom(seed), kills, fromAt: firstAt + 5_000, toAt: endAt - 10_000 });
  await sleep(Math.max(0, endAt - Date.now()));
  clearInterval(progress);
  tell("waiting for quiet");
  await allEnded(system.sql, tenant, system.settleMsMax);

  const result = balance(expected, await readLedger(system.sql, tenant.id), { calls: await tenant.calls(), secret: tenant.secret });
  await tenant.clear();
  const executorKills = killed.filter(({ what }) => what === "executor killed").length;
  const isKept =
    result.lost + result.unexpected + result.unverified + result.early === 0 &&
    result.duplicates <= Math.min(killed.length, result.leasesLost);
  printResult(
    `soak: ${isKept ? "every promise was kept" : "A PROMISE WAS BROKEN"}`,
    [
      ["expected", result.expected],
      ["recorded", result.recorded],
      ["called", `${result.called} runs, ${result.calls} calls`],
      ["lost", result.lost],
      ["unexpected", result.unexpected],
      ["duplicates", `${result.duplicates} (kills ${killed.length}, leases lost ${result.leasesLost})`],
      ["unverified, early", `${result.unverified}, ${result.early}`],
      ["kills", `${executorKills} executors, ${killed.length - executorKills} dispatchers`],
      ["lag", describeDistribution(result.lagMs, "ms")],
      ...Object.entries(result.states).map(([state, runs]) => [state, runs] as const),
    ],
    { ...result, minutes, perMinute, seed, kept: isKept, kills: killed.length, killed },
  );
  return isKept;
});
