import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sql } from "./connect.ts";
import { leaseRuns } from "./lease-runs.ts";
import { type AttemptRecord, recordOutcomes } from "./record-outcomes.ts";
import { type Lease, renewLeases } from "./renew-leases.ts";
import { returnLeases } from "./return-leases.ts";
import { arrangeLeased, arrangeSchedule, type ArrangedSchedule } from "./runs.test-support.ts";

let database: TestDatabase;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  database = await createTestDatabase();
  schedule = await arrangeSchedule(database.admin);
});
afterAll(() => database.drop());

const success = (lease: Lease): AttemptRecord => ({
  ...lease,
  attempt: 1,
  outcome: "success",
  code: null,
  httpStatus: 204,
  startedAt: Date.now(),
  durationMs: 1,
  responseExcerpt: null,
  next: { state: "succeeded" },
});

const writes: readonly [string, (sql: Sql, leases: readonly Lease[]) => Promise<unknown>][] = [
  ["leasing", (sql, keys) => leaseRuns(sql, { keys, executor: "executor-1", leaseMs: 45_000, holdMsMax: 0 })],
  ["renewing leases", (sql, leases) => renewLeases(sql, leases, 45_000)],
  ["returning leases", (sql, leases) => returnLeases(sql, leases, 600_000)],
  ["recording outcomes", (sql, leases) => recordOutcomes(sql, leases.map(success), "executor-1")],
];

// Two batches that share runs cannot deadlock when each takes its locks in the same order, whatever the order it was given them in.
test.for(writes)("%s locks runs in the order of their ids: while it waits for the first it holds none of the others", async ([, write]) => {
  const { admin } = database;
  const leases: (Lease & { runId: string })[] = [];
  for (let index = 0; index < 5; index += 1) leases.push(await arrangeLeased(admin, schedule));
  leases.sort((a, b) => (a.runId < b.runId ? 1 : -1));
  const ids = leases.map(({ runId }) => runId);
  let written: Promise<unknown> | undefined;
  await admin.begin(async (other) => {
    await other`select from downbeat.runs where id = ${ids.at(-1) ?? ""} for update`;
    written = write(database.connectAs("downbeat_executor", 1), leases);
    await until("the write to wait", async () => {
      const waiting = await admin`
        select from pg_stat_activity where datname = current_database() and application_name = 'test-downbeat_executor' and wait_event_type = 'Lock'`;
      return waiting.length === 1;
    });
    const free = await admin`select id from downbeat.runs where id = any(${ids}::uuid[]) for update skip locked`;
    expect(free.map(({ id }) => id as string).sort()).toEqual(ids.slice(0, -1).sort());
  });
  await written;
});
