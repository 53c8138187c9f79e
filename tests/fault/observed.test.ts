// What Prometheus and the kubelet are told, by real processes: while they work, while they drain, and while Postgres and the queue are away.
import type { ServerResponse } from "node:http";
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { encodeWakeUp } from "@downbeat/queue/wake-up.ts";
import { testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { type Link, startLink } from "@downbeat/testkit/link.ts";
import { samplesOf, scrape } from "@downbeat/testkit/metric-samples.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import type { ServiceProcess } from "@downbeat/testkit/service-process.ts";
import { createTestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { startSqs } from "@downbeat/embedded/sqs.ts";
import { expect, test } from "vitest";
import { readLedger } from "./ledger.ts";
import { createWorld, noSessionsOf } from "./world.ts";

const observed = { METRICS_PORT: "0" };

async function operationsUrl(process: ServiceProcess): Promise<string> {
  const line = await process.logged("its port for metrics", ({ msg }) => msg === "serving metrics and probes");
  return String(line["url"]);
}

const probe = async (url: string, name: "livez" | "readyz") => (await fetch(`${url}/${name}`)).status;

test("each thing an executor and a dispatcher do moves the number that names it; nothing tells whose it was, and no secret is told", async (context) => {
  const receiver = await startReceiver((_call, response, number) => response.writeHead(number === 1 ? 204 : 400).end());
  const world = await createWorld({ context, receiver });
  await world.scheduleOnce(2);
  const dispatcher = world.startDispatcher(observed);
  const executor = world.startExecutor(observed);
  const url = await operationsUrl(executor);
  await world.quiet(2);
  const ledger = await readLedger(world.sql);
  const [over] = ledger;
  const refs = [{ tenantId: world.endpoint.tenantId, runId: over?.id ?? "" }];
  for (const body of [encodeWakeUp(refs), encodeWakeUp(refs), "{"]) {
    await world.queue.send(new SendMessageCommand({ QueueUrl: world.queueUrl, MessageBody: body }));
  }
  await until("the three messages to be dealt with", async () => {
    const { downbeat_duplicates_suppressed_total: suppressed, downbeat_messages_rejected_total: rejected } = await scrape(url);
    return suppressed === 2 && rejected === 1;
  });
  const samples = await scrape(url);
  expect(samples).toMatchObject({
    'downbeat_attempts_total{outcome="success",code="http_204",state="succeeded"}': 1,
    'downbeat_attempts_total{outcome="permanent",code="http_400",state="failed"}': 1,
    downbeat_start_lag_seconds_count: 2,
    'downbeat_delivery_duration_seconds_count{outcome="success"}': 1,
    downbeat_fenced_writes_total: 0,
    downbeat_slots: 100,
    downbeat_slots_in_use: 0,
    downbeat_runs_leased: 0,
    downbeat_runs_waiting: 0,
    'downbeat_build_info{version="0.1.0",role="executor"}': 1,
    'downbeat_postgres_connections{state="max"}': 4,
    nodejs_eventloop_lag_p99_seconds: expect.any(Number),
  });
  expect(samples["downbeat_messages_received_total"]).toBeGreaterThanOrEqual(4);
  expect(samples["downbeat_last_receive_age_seconds"]).toBeLessThan(20);
  expect(samples['downbeat_postgres_connections{state="open"}']).toBeGreaterThanOrEqual(1);
  expect(samples['downbeat_postgres_connections{state="open"}']).toBeLessThanOrEqual(4);
  const passed = await scrape(await operationsUrl(dispatcher));
  expect(passed).toMatchObject({
    'downbeat_pass_runs_total{result="claimed"}': 2,
    'downbeat_pass_runs_total{result="sent"}': 2,
    'downbeat_passes_total{result="error"}': 0,
  });
  expect(passed['downbeat_passes_total{result="ok"}']).toBeGreaterThanOrEqual(1);

  for (const each of [url, await operationsUrl(dispatcher)]) {
    const text = await (await fetch(`${each}/metrics`)).text();
    const unspoken = [
      world.endpoint.tenantId,
      world.endpoint.endpointId,
      world.endpoint.secret,
      testSecretKeys,
      world.queueUrl,
      ...ledger.map(({ id }) => id),
    ];
    for (const one of unspoken) expect(text).not.toContain(one);
  }
});

test("with METRICS_TENANT_LABEL attempts are told by tenant", async (context) => {
  const world = await createWorld({ context });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const executor = world.startExecutor({ ...observed, METRICS_TENANT_LABEL: "true" });
  await world.quiet(1);
  const samples = await scrape(await operationsUrl(executor));
  const { tenantId } = world.endpoint;
  expect(samples[`downbeat_attempts_total{outcome="success",code="http_204",state="succeeded",tenant="${tenantId}"}`]).toBe(1);
  expect(samples[`downbeat_start_lag_seconds_count{tenant="${tenantId}"}`]).toBe(1);
});

test("SIGTERM during a call: not ready at once, alive and telling metrics until the call is recorded", async (context) => {
  const held: ServerResponse[] = [];
  const receiver = await startReceiver((_call, response) => void held.push(response));
  const world = await createWorld({ context, receiver, timeoutMs: 15_000 });
  await world.scheduleOnce(1);
  world.startDispatcher();
  const executor = world.startExecutor(observed);
  const url = await operationsUrl(executor);
  await world.called(1);
  expect([await probe(url, "readyz"), await probe(url, "livez")]).toEqual([200, 200]);
  executor.signal("SIGTERM");
  await executor.logged("its drain", ({ msg }) => msg === "stopping");
  expect([await probe(url, "readyz"), await probe(url, "livez")]).toEqual([503, 200]);
  expect(await scrape(url)).toMatchObject({ downbeat_slots_in_use: 1, downbeat_runs_leased: 1 });
  for (const response of held) response.writeHead(204).end();
  expect(await executor.exited).toEqual({ code: 0, signal: null });
  expect(await readLedger(world.sql)).toMatchObject([{ state: "succeeded", attempt: 1 }]);
});

test("while Postgres and the queue are away both stay alive and ready and tell metrics, and the outage can be seen in them", async (context) => {
  const database = await createTestDatabase();
  const sqs = await startSqs({ port: 0 });
  const { hostname: host, port } = new URL(database.url);
  const links: Link[] = [await startLink({ host, port: Number(port) }), await startLink({ host: "127.0.0.1", port: sqs.port })];
  const [toPostgres, toQueue] = links as [Link, Link];
  const close = async () => {
    for (const link of links) link.cut();
    await noSessionsOf(database.admin, "downbeat-%");
    await database.drop();
    await sqs.stop();
  };
  const world = await createWorld({ context, database: { url: database.url, admin: database.admin, close }, queueEndpoint: sqs.endpoint });
  const linked = new URL(database.url);
  linked.host = `127.0.0.1:${toPostgres.port}`;
  const settings = { ...observed, DATABASE_URL: linked.href, AWS_ENDPOINT_URL: `http://127.0.0.1:${toQueue.port}` };
  const dispatcher = world.startDispatcher(settings);
  const executor = world.startExecutor(settings);
  const urls = [await operationsUrl(dispatcher), await operationsUrl(executor)];
  const passes = async () => samplesOf(await (await fetch(`${urls[0]}/metrics`)).text())['downbeat_passes_total{result="ok"}'] ?? 0;
  await until("the first pass", async () => (await passes()) > 0);

  for (const link of links) link.cut();
  await dispatcher.logged("its second failure", ({ action, failures }) => action === "dispatch" && failures === 2);
  await executor.logged("its second failure", ({ action, failures }) => action === "receive messages" && failures === 2);
  for (const url of urls) expect([await probe(url, "livez"), await probe(url, "readyz")]).toEqual([200, 200]);
  expect((await scrape(urls[0] ?? ""))['downbeat_passes_total{result="error"}']).toBeGreaterThanOrEqual(2);
  expect((await scrape(urls[1] ?? ""))["downbeat_last_receive_age_seconds"]).toBeGreaterThan(0.4);

  const failed = await passes();
  await Promise.all(links.map((link) => link.mend()));
  await until("the next pass", async () => (await passes()) > failed);
});
