// F4: `kill -9` of an executor at each of its failpoints.
import { until } from "@downbeat/testkit/until.ts";
import { expect, test } from "vitest";
import { callsByRun, expectEachDeliveredOnce, readLedger } from "./ledger.ts";
import { createWorld, shortLease } from "./world.ts";

test.concurrent("an executor killed before the call: the run is delivered once, the killed attempt is on the ledger as unknown", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const killed = world.startExecutor(shortLease, "executor.leased");
  await killed.atFailpoint();
  await killed.kill();
  expect(await readLedger(world.sql)).toMatchObject([{ state: "running", attempt: 1, outcomes: [] }]);

  world.startExecutor();
  await world.quiet(1);
  const [run] = await expectEachDeliveredOnce(world, 1);
  expect(run).toMatchObject({ attempt: 2, outcomes: ["unknown", "success"] });
});

test.concurrent("an executor killed after the 2xx and before the commit: one extra call, under the same webhook-id", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const killed = world.startExecutor(shortLease, "executor.called-before-record");
  await killed.atFailpoint();
  await killed.kill();
  expect(world.receiver.calls).toHaveLength(1);

  world.startExecutor();
  await world.quiet(1);
  const [run, ...others] = await readLedger(world.sql);
  expect(others).toEqual([]);
  expect(run).toMatchObject({ state: "succeeded", attempt: 2, outcomes: ["unknown", "success"] });
  expect([...callsByRun(world)]).toEqual([[run?.id, 2]]);
});

test.concurrent("an executor killed after the commit and before the delete: no extra call", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const killed = world.startExecutor(shortLease, "executor.recorded-before-delete");
  await killed.atFailpoint();
  await killed.kill();

  // The message of the recorded run is still there. The second executor gets it when its visibility timeout is over.
  const second = world.startExecutor();
  await world.quiet(1);
  expect(second.isAlive).toBe(true);
  const [run] = await expectEachDeliveredOnce(world, 1);
  expect(run).toMatchObject({ attempt: 1, outcomes: ["success"] });
});

test.concurrent("an executor killed with many calls in flight: every run is delivered, no more extra calls than leases lost", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(40);
  world.startDispatcher();
  // From the tenth call on, outcomes are lost with the process.
  const killed = world.startExecutor(shortLease, "executor.called-before-record:10");
  await killed.atFailpoint();
  await until("the other outcomes to be written", async () => {
    const ledger = await readLedger(world.sql);
    return ledger.filter(({ state }) => state === "succeeded").length === 9;
  });
  await killed.kill();

  world.startExecutor();
  await world.quiet(40);
  const ledger = await readLedger(world.sql);
  const calls = callsByRun(world);
  expect([...calls.keys()].sort()).toEqual(ledger.map(({ id }) => id));
  for (const { id, state, outcomes } of ledger) {
    expect(state).toBe("succeeded");
    expect(outcomes.at(-1)).toBe("success");
    expect(calls.get(id)).toBeLessThanOrEqual(outcomes.length);
  }
});

test.concurrent("an executor killed while its run holds its schedule's gate: no run starts beside it until it was taken up again and has ended, and then the gate is free", async (context) => {
  const world = await createWorld({ context });
  const firstAt = await world.scheduleEachSecond(1, { overlap: "skip" });
  world.startDispatcher({ HORIZON_SECONDS: "1" });
  // Long enough for another executor to start and to find the gate held, also on a busy machine.
  const killed = world.startExecutor({ ...shortLease, LEASE_MS: "6000" }, "executor.leased");
  await killed.atFailpoint();
  const successor = world.startExecutor();
  await successor.logged("its start", ({ msg }) => msg === "executor ready");
  await killed.kill();

  const succeeded = async () => (await readLedger(world.sql)).filter(({ state }) => state === "succeeded");
  await until("a later run to have its turn", async () => (await succeeded()).length >= 2);
  const endAt = await world.unschedule();
  await world.quiet(2);
  const rows = await world.sql<{ id: string; state: string; reason: string | null; blockedBy: string | null; from: number; to: number }[]>`
    select id, state, reason, blocked_by as "blockedBy", (extract(epoch from coalesce(range_from, scheduled_for)))::float8 as from,
      (extract(epoch from scheduled_for))::float8 as to
    from downbeat.runs order by id`;
  // Each instant is accounted for, by a run or by the name of the run that was under way; neighbours that were skipped together are one row.
  const accounted = rows.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
  expect(accounted).toEqual(Array.from({ length: (endAt - firstAt) / 1_000 }, (_, index) => firstAt / 1_000 + index));
  const skipped = rows.filter(({ state }) => state === "skipped");
  expect(skipped.length).toBeGreaterThan(0);
  const ran = await succeeded();
  for (const { reason, blockedBy } of skipped) expect([reason, ran.some(({ id }) => id === blockedBy)]).toEqual(["overlap", true]);
  expect(rows).toHaveLength(skipped.length + ran.length);
  const held = ran.find(({ id }) => id === skipped[0]?.blockedBy);
  expect(held).toMatchObject({ attempt: 2, outcomes: ["unknown", "success"] });
  expect([...callsByRun(world)].filter(([, times]) => times !== 1)).toEqual([]);
});
