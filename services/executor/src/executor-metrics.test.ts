import type { LeasedRun } from "@downbeat/store/lease-runs.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { readSamples } from "@downbeat/testkit/metric-samples.ts";
import { Registry } from "@prometheus-io/client";
import { expect, test } from "vitest";
import type { Delivered } from "./deliver.ts";
import { ExecutorMetrics } from "./executor-metrics.ts";

const tenantId = "0198f0de-0000-7000-8000-000000000001";

function create({ isByTenant = false } = {}) {
  const registry = new Registry();
  const clock = new ManualClock(1_000_000);
  return { registry, clock, metrics: new ExecutorMetrics({ registry, clock, isByTenant }) };
}

/** What the executor counts by; the rest of a run and of its record is nobody's business here. */
const run = { tenantId, scheduleId: "schedule-1", runId: "run-1", endpointId: "endpoint-1", dueAt: 1_000 } as LeasedRun;
const delivered = (startedAt: number, durationMs: number) =>
  ({
    record: { outcome: "success", startedAt, durationMs, next: { state: "succeeded" } },
    internalCode: "http_200",
    detail: null,
  }) as Delivered;

test("no label tells whose runs they were", async () => {
  const { registry, metrics } = create();
  metrics.attempted(run, delivered(1_040, 80), true);
  const text = await registry.metrics();
  for (const id of [tenantId, run.scheduleId, run.runId, run.endpointId, "tenant"]) expect(text).not.toContain(id);
});

test("METRICS_TENANT_LABEL adds the tenant to attempts and lag, and to nothing else", async () => {
  const { registry, metrics } = create({ isByTenant: true });
  metrics.attempted(run, delivered(1_040, 80), true);
  const samples = await readSamples(registry);
  expect(samples[`downbeat_attempts_total{outcome="success",code="http_200",state="succeeded",tenant="${tenantId}"}`]).toBe(1);
  expect(samples[`downbeat_start_lag_seconds_count{tenant="${tenantId}"}`]).toBe(1);
  const named = Object.keys(samples).filter((series) => series.includes(tenantId));
  expect(named.filter((series) => !/^downbeat_(attempts_total|start_lag_seconds)/.test(series))).toEqual([]);
});

test("lag is the time from due to start, never negative; duration that of calls, by outcome", async () => {
  const { registry, metrics } = create();
  metrics.attempted(run, delivered(1_040, 80), true);
  metrics.attempted(run, delivered(999, 0), true);
  expect(await readSamples(registry)).toMatchObject({
    'downbeat_start_lag_seconds_bucket{le="0.005"}': 1,
    'downbeat_start_lag_seconds_bucket{le="0.025"}': 1,
    'downbeat_start_lag_seconds_bucket{le="0.05"}': 2,
    downbeat_start_lag_seconds_sum: 0.04,
    'downbeat_delivery_duration_seconds_bucket{le="0.05",outcome="success"}': 0,
    'downbeat_delivery_duration_seconds_bucket{le="0.1",outcome="success"}': 1,
    'downbeat_delivery_duration_seconds_count{outcome="success"}': 1,
  });
});

test("load is read when it is asked for, and the age of the last receive counts from the last answer of the queue, also an empty one", async () => {
  const { registry, metrics, clock } = create();
  let slotsInUse = 0;
  metrics.watch(() => ({ slots: 100, slotsInUse, leased: 7, waiting: 9 }));
  slotsInUse = 3;
  clock.advance(20_000);
  expect(await readSamples(registry)).toMatchObject({
    downbeat_slots: 100,
    downbeat_slots_in_use: 3,
    downbeat_runs_leased: 7,
    downbeat_runs_waiting: 9,
    downbeat_last_receive_age_seconds: 20,
  });
  metrics.received(0);
  clock.advance(1_500);
  metrics.rejected();
  expect(await readSamples(registry)).toMatchObject({
    downbeat_last_receive_age_seconds: 1.5,
    downbeat_messages_received_total: 0,
    downbeat_messages_rejected_total: 1,
  });
});
