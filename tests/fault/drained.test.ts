// F17: SIGTERM.
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { expectEachDeliveredOnce, readLedger, statesOf } from "./ledger.ts";
import { createWorld } from "./world.ts";

test.concurrent("SIGTERM: calls in flight are finished and recorded, waiting runs go back unspent, the next executor delivers them", async (context) => {
  const held: ServerResponse[] = [];
  let isHolding = true;
  const receiver = await startReceiver((_call, response) => {
    if (isHolding) held.push(response);
    else response.writeHead(204).end();
  });
  const world = await createWorld({ context, receiver, timeoutMs: 15_000 });
  await world.scheduleOnce(30);
  const dispatcher = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0", RUNS_PER_MESSAGE: "1" });
  const drained = world.startExecutor({ MAX_CONCURRENT_RUNS: "5" });
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  await world.called(5);
  // Five being called, five leased for the next free slot, the others waiting without a lease.
  await until("the leases ahead", async () => (await statesOf(world.sql))["running"] === 10);

  drained.signal("SIGTERM");
  await until("the waiting runs to be back on the queue", async () => {
    const ledger = await readLedger(world.sql);
    return ledger.filter(({ state, attempt }) => state === "queued" && attempt === 0).length === 25;
  });
  expect(receiver.calls).toHaveLength(5);
  isHolding = false;
  for (const response of held) response.writeHead(204).end();
  expect(await drained.exited).toEqual({ code: 0, signal: null });
  expect(await statesOf(world.sql)).toEqual({ succeeded: 5, queued: 25 });
  expect(receiver.calls).toHaveLength(5);

  world.startExecutor();
  await world.quiet(30);
  const ledger = await expectEachDeliveredOnce(world, 30);
  expect(ledger.every(({ attempt, outcomes }) => attempt === 1 && outcomes.length === 1)).toBe(true);
});

test.concurrent("SIGTERM in the middle of leasing: the lease is given back, unspent and uncalled", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(3);
  const claimed = world.startDispatcher({ DISPATCH_FOR_SECONDS: "0" });
  expect(await claimed.exited).toEqual({ code: 0, signal: null });
  const drained = await world.sql.begin(async (transaction) => {
    // The lease statement waits for these rows.
    await transaction`select id from downbeat.runs for update`;
    const executor = world.startExecutor();
    await until("the executor to be leasing", async () => {
      const [row] = await world.sql<{ waiting: number }[]>`
        select count(*)::int as waiting from pg_stat_activity
        where datname = current_database() and application_name = 'downbeat-executor' and wait_event_type = 'Lock'`;
      return row?.waiting === 1;
    });
    executor.signal("SIGTERM");
    await executor.logged("its drain", ({ msg }) => msg === "stopping");
    return executor;
  });
  expect(await drained.exited).toEqual({ code: 0, signal: null });
  expect(await readLedger(world.sql)).toMatchObject([1, 2, 3].map(() => ({ state: "queued", attempt: 0, outcomes: [] })));
  expect(world.receiver.calls).toHaveLength(0);

  world.startExecutor();
  await world.quiet(3);
  await expectEachDeliveredOnce(world, 3);
});
