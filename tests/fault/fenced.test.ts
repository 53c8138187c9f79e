// F5: an executor frozen (SIGSTOP) for longer than its lease, then let go on (SIGCONT).
import { scrape } from "@downbeat/testkit/metric-samples.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { expect, test } from "vitest";
import { callsByRun, expectEachDeliveredOnce, readLedger } from "./ledger.ts";
import { createWorld, shortLease } from "./world.ts";

test.concurrent("an executor frozen during its call until its lease is lost: its late outcome is fenced, the newer one stays", async (context) => {
  // The first call is answered only when told to, and with an error: a late write would turn the succeeded run into a failed one.
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  const receiver = await startReceiver((_call, response, number) => {
    if (number === 1) void told.then(() => response.writeHead(400).end());
    else response.writeHead(204).end();
  });
  const world = await createWorld({ context, receiver });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const frozen = world.startExecutor({ ...shortLease, METRICS_PORT: "0" });
  await world.called(1);
  frozen.signal("SIGSTOP");
  tell();
  world.startExecutor();
  await world.quiet(1);
  const newer = await readLedger(world.sql);
  expect(newer).toMatchObject([{ state: "succeeded", attempt: 2, outcomes: ["unknown", "success"] }]);

  frozen.signal("SIGCONT");
  const fenced = await frozen.logged("the fenced write", ({ msg }) => msg?.startsWith("attempt fenced") === true);
  expect(fenced).toMatchObject({ level: "warn", run: newer[0]?.id, attempt: 1, isRecorded: false });
  expect(await readLedger(world.sql)).toEqual(newer);
  expect([...callsByRun(world)]).toEqual([[newer[0]?.id, 2]]);
  const { url } = await frozen.logged("its port for metrics", ({ msg }) => msg === "serving metrics and probes");
  expect((await scrape(String(url)))["downbeat_fenced_writes_total"]).toBe(1);
  frozen.signal("SIGTERM");
  expect(await frozen.exited).toEqual({ code: 0, signal: null });
});

test.concurrent("an executor frozen before its call until its lease is lost does not call any more", async (context) => {
  const world = await createWorld({ context });
  world.startDispatcher();
  const frozen = world.startExecutor(shortLease);
  await frozen.logged("its start", ({ msg }) => msg === "executor ready");
  await until("the dispatcher's first pass", async () => (await world.sql`select id from downbeat.dispatch_passes`).length > 0);
  await world.scheduleOnce(1, 3_000);
  await until("the run to be leased ahead of its instant", async () => {
    const [run] = await readLedger(world.sql);
    return run?.state === "running";
  });
  frozen.signal("SIGSTOP");
  expect(world.receiver.calls).toHaveLength(0);
  world.startExecutor();
  await world.quiet(1);

  frozen.signal("SIGCONT");
  // Its drain ends when the run it holds is done with, one way or the other.
  frozen.signal("SIGTERM");
  expect(await frozen.exited).toEqual({ code: 0, signal: null });
  const [run] = await expectEachDeliveredOnce(world, 1);
  expect(run).toMatchObject({ attempt: 2, outcomes: ["unknown", "success"] });
});
