/**
 * `make test-suspend MINUTES=5`: minutely schedules of each misfire policy and several graces on the cluster, whose CronJob is suspended for MINUTES and resumed. What the documentation says
 * becomes of each occurrence is held against the ledger: exactly the same runs, exactly the same missed stretches, for the same reasons.
 *
 * Prints a table and, as the last line, JSON. Exit code 1 when the two differ.
 */
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@downbeat/testkit/until.ts";
import { numberOption } from "../bench/options.ts";
import { allEnded, databaseNow, type LedgerRun, readLedger } from "./ledger.ts";
import { type Outage, type Policy, type Prediction, predictMisfires } from "./predict-misfires.ts";
import type { System } from "./system.ts";
import { createTenant } from "./tenant.ts";
import { openToolSystem, printResult, runTool, tell } from "./tool.ts";

const minutes = numberOption("MINUTES", 5, 2, 120);
const minuteMs = 60_000;

/** None, the default, and one that ends within the outage. */
const graces = [null, 86_400, 170] as const;
const policies: readonly Policy[] = (["latest", "all", "skip"] as const).flatMap((misfire) =>
  graces.map((graceSeconds) => ({ misfire, graceSeconds })),
);

await runTool(openToolSystem, async (system) => {
  const tenant = await createTenant(system, "suspend");
  const created = await tenant.schedule(
    policies.map(({ misfire, graceSeconds }) => ({
      name: `${misfire}-${graceSeconds ?? "unlimited"}`,
      cron_expression: "* * * * *",
      // Should this be interrupted, they end by themselves.
      ends_at: new Date(Date.now() + (minutes + 30) * minuteMs).toISOString(),
      target: { path: "/hook" },
      misfire,
      grace_seconds: graceSeconds,
      overlap: "allow",
      max_instances: 1_000,
    })),
  );
  const firstAt = Math.max(...created.map(({ next_run_at: next }) => Date.parse(next ?? "")));
  tell(`${created.length} schedules of ${tenant.slug}; waiting for their first minute`);
  const runsOfEach = async () => new Set((await readLedger(system.sql, tenant.id)).map(({ scheduleId }) => scheduleId)).size;
  await until("each to have been claimed", async () => (await runsOfEach()) === created.length, {
    deadlineMs: system.settleMsMax + minuteMs,
    everyMs: 500,
  });

  const suspendedAt = await databaseNow(system.sql);
  await system.suspendDispatcher();
  tell(`suspended for ${minutes} minutes`);
  // Resumed a third into a minute, so that no occurrence is just about as late as a limit allows.
  const resumeAt = Math.ceil((suspendedAt + minutes * minuteMs) / minuteMs) * minuteMs + minuteMs / 3;
  await sleep(resumeAt - Date.now());
  await system.resumeDispatcher();
  tell("resumed; waiting for the first pass");
  const outage = await until("the first pass after it", () => findOutage(system, suspendedAt), {
    deadlineMs: system.settleMsMax,
    everyMs: 500,
  });
  const endAt = Math.floor(outage.first.from / minuteMs) * minuteMs;
  await tenant.rest.call("POST", "/schedules/bulk", { action: "pause", filter: { all: true } });
  await allEnded(system.sql, tenant, system.settleMsMax);
  const ledger = await readLedger(system.sql, tenant.id);
  await tenant.clear();

  const results = policies.map((policy, index) => {
    const own = ledger.filter(({ scheduleId }) => scheduleId === created[index]?.id);
    return { policy, predicted: predict(firstAt, outage, system.horizonMs, policy), found: foundIn(own, firstAt, endAt) };
  });
  const differ = results.filter(({ predicted, found }) => !isDeepStrictEqual(predicted, found));
  printResult(
    `${minutes} minutes without a dispatcher: ${differ.length === 0 ? "exactly as documented" : `${differ.length} POLICIES DIFFER`}`,
    [
      ["last pass before", new Date(outage.last.from).toISOString()],
      ["first pass after", new Date(outage.first.from).toISOString()],
      ...results.map(({ policy, predicted, found }) => {
        const verdict = isDeepStrictEqual(predicted, found) ? describe(found) : `${describe(found)}; PREDICTED ${describe(predicted)}`;
        return [`${policy.misfire}, grace ${policy.graceSeconds ?? "unlimited"}`, verdict] as const;
      }),
    ],
    { minutes, outage, kept: differ.length === 0, results },
  );
  return differ.length === 0;
});

/** When the last pass before the outage and the first after it decided: somewhere between their start and their end. */
interface FoundOutage {
  last: { from: number; to: number };
  first: { from: number; to: number };
}

async function findOutage({ sql }: System, suspendedAt: number): Promise<FoundOutage | null> {
  const passes = await sql<{ from: number; to: number }[]>`
    select (extract(epoch from started_at) * 1000)::float8 as from, (extract(epoch from finished_at) * 1000)::float8 as to
    from downbeat.dispatch_passes where started_at > to_timestamp(${suspendedAt / 1_000}::float8) - interval '2 minutes' order by started_at`;
  // The dispatcher of the minute in which it was suspended went on to that minute's end.
  const index = passes.findIndex(({ from }, at) => from - (passes[at - 1]?.from ?? from) > minuteMs);
  const [last, first] = [passes[index - 1], passes[index]];
  return last === undefined || first === undefined ? null : { last, first };
}

function predict(firstAt: number, { last, first }: FoundOutage, horizonMs: number, policy: Policy): Prediction {
  const at = (lastPassAt: number, firstPassAt: number) =>
    predictMisfires(firstAt, { lastPassAt, firstPassAt, horizonMs } satisfies Outage, policy);
  const prediction = at(last.from, first.from);
  if (!isDeepStrictEqual(prediction, at(last.to, first.to)))
    throw new Error("a pass decided just where a limit lies: nothing can be said. Run it again");
  return prediction;
}

function foundIn(runs: readonly LedgerRun[], fromAt: number, toAt: number): Prediction {
  const own = runs.filter(({ scheduledFor }) => scheduledFor >= fromAt && scheduledFor <= toAt);
  return {
    ran: own.filter(({ state }) => state === "succeeded").map(({ scheduledFor }) => scheduledFor),
    missed: own
      .filter(({ state }) => state !== "succeeded")
      .map(({ scheduledFor, rangeFrom, rangeCount, reason, state }) => ({
        from: rangeFrom ?? scheduledFor,
        to: scheduledFor,
        count: rangeCount ?? 1,
        reason: state === "missed" ? String(reason) : `${state} (${reason})`,
      })),
  };
}

function describe({ ran, missed }: Prediction): string {
  const rows = missed.map(({ count, reason }) => `${count} missed (${reason})`);
  return [`${ran.length} ran`, ...rows].join(", ");
}
