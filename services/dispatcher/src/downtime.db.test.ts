import { randomUUID } from "node:crypto";
import type { Sql } from "@downbeat/store/connect.ts";
import { readyPartitions } from "@downbeat/store/ensure-partitions.ts";
import { runId } from "@downbeat/store/run-id.ts";
import { arrangeEndpoint, type ArrangedEndpoint } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { type DatabaseClock, useManualDatabaseClock } from "@downbeat/testkit/database-clock.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { enumerateMinutes } from "@downbeat/timing/enumerate-minutes.test-support.ts";
import { overlaps, type Overlap } from "@downbeat/timing/pass-gate.ts";
import { misfires, type Misfire } from "@downbeat/timing/plan-due.ts";
import type { DstGap, DstOverlap } from "@downbeat/timing/rule.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditLedger } from "./audit-ledger.ts";
import { claimDue } from "./claim-due.ts";

/**
 * A dispatcher that was away, replayed on real Postgres whose clock the test moves. What should become of every single occurrence is predicted here from the words of the policies, over the
 * occurrences of the enumerator that shares no code with the library; then the ledger is read back, stretches taken apart into their occurrences, and compared.
 */
let database: TestDatabase;
let clock: DatabaseClock;
let dispatcher: Sql;
let endpoint: ArrangedEndpoint;

const minuteMs = 60_000;
const dayMs = 86_400_000;
const startAt = Date.UTC(2026, 9, 3, 12, 0, 0);
const horizonMs = 75_000;

beforeAll(async () => {
  database = await createTestDatabase();
  clock = await useManualDatabaseClock(database, startAt);
  dispatcher = database.connectAs("downbeat_dispatcher");
  endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
});
afterAll(() => database.drop());
// Whatever an earlier test has left is not this one's.
beforeEach(() => database.admin`truncate downbeat.schedules, downbeat.runs cascade`);

interface Policies {
  misfire: Misfire;
  graceSeconds: number | null;
  overlap: Overlap;
  /** Whether a run of the schedule is under way when the dispatcher is back. */
  isHeld: boolean;
}

interface Pattern {
  cronExpression: string;
  timezone: string;
  dstGap: DstGap;
  dstOverlap: DstOverlap;
}

const everyMinute: Pattern = { cronExpression: "* * * * *", timezone: "UTC", dstGap: "run_at_gap_end", dstOverlap: "first" };
const instancesMax = 3;

/** A schedule that was evaluated up to `startAt`, as the API writes it. */
async function arrange(pattern: Pattern, policies: Policies, firstAt: number): Promise<string> {
  const scheduleId = randomUUID();
  const { tenantId, endpointId } = endpoint;
  const startedAt = new Date(startAt);
  await database.admin`
    insert into downbeat.schedules (created_at, revised_at, updated_at, tenant_id, id, name, kind, cron_expression, timezone, dst_gap, dst_overlap, endpoint_id, target, misfire,
      grace_seconds, overlap, max_instances)
    values (${startedAt}, ${startedAt}, ${startedAt}, ${tenantId}, ${scheduleId}, ${scheduleId}, 'cron', ${pattern.cronExpression}, ${pattern.timezone}, ${pattern.dstGap}, ${pattern.dstOverlap}, ${endpointId},
      ${database.admin.json({ type: "http", method: "POST", path: "" })}, ${policies.misfire}, ${policies.graceSeconds}, ${policies.overlap}, ${instancesMax})`;
  await database.admin`insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at) values (${tenantId}, ${scheduleId}, to_timestamp(${firstAt / 1_000}::float8))`;
  if (policies.isHeld) await hold(scheduleId);
  return scheduleId;
}

/** A run that somebody asked for is under way, as an executor's lease leaves it. */
async function hold(scheduleId: string): Promise<void> {
  const id = heldRunId(scheduleId);
  await database.admin`select downbeat.ensure_run_partitions(to_timestamp(${startAt / 1_000}::float8), to_timestamp(${startAt / 1_000}::float8))`;
  await database.admin`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, trigger_id, state, attempt, sweep_at)
    values (${endpoint.tenantId}, ${id}, ${scheduleId}, 1, to_timestamp(${startAt / 1_000}::float8), to_timestamp(${startAt / 1_000}::float8), 'by hand', 'running', 1,
      'infinity')`;
  await database.admin`insert into downbeat.schedule_gates (tenant_id, schedule_id, holders) values (${endpoint.tenantId}, ${scheduleId}, array[${id}::uuid])`;
}

function heldRunId(scheduleId: string): string {
  return runId(scheduleId, startAt, "by hand");
}

/** The dispatcher is back: it claims until nothing is left. */
async function claimAll(): Promise<void> {
  const { log } = captureLog();
  // As every dispatcher does when it starts.
  await readyPartitions(dispatcher);
  for (;;) {
    const { hasMore } = await claimDue({ sql: dispatcher, log, horizonMs, batchSize: 1_000, publishTimeoutMs: 10_000 });
    if (!hasMore) return;
  }
}

/** The self-audit over everything since `startAt`: all steps of a round, summed up. */
async function auditAll(nowAt: number) {
  const { log } = captureLog();
  const signal = new AbortController().signal;
  await database.admin`truncate downbeat.system_state, downbeat.audit_passes`;
  const windowMs = nowAt - startAt + dayMs;
  const sum = { schedules: 0, lost: 0, unexpected: 0, difference: 0 };
  for (;;) {
    const step = await auditLedger({
      sql: dispatcher,
      clock: new ManualClock(nowAt),
      log,
      dispatcher: "auditor",
      signal,
      everyMs: 3_600_000,
      windowMs,
    });
    if (step === null) throw new Error("the audit had nothing to do");
    sum.schedules += step.schedules;
    sum.lost += step.lost;
    sum.unexpected += step.unexpected;
    sum.difference += step.expected - step.recorded;
    if (step.isFinished) return sum;
  }
}

const balanced = (schedules: number) => ({ schedules, lost: 0, unexpected: 0, difference: 0 });

type Fates = Map<number, string>;

/** What the policies say of each occurrence: `run`, or why not. */
function predict(
  occurrences: readonly number[],
  nowAt: number,
  { misfire, graceSeconds, overlap, isHeld }: Policies,
  scheduleId: string,
): Fates {
  const fates: Fates = new Map();
  const graceMs = graceSeconds === null ? Infinity : graceSeconds * 1_000;
  const late = occurrences.filter((at) => at < nowAt);
  for (const at of late.filter((one) => nowAt - one > graceMs)) fates.set(at, "missed grace");
  const inGrace = late.filter((at) => nowAt - at <= graceMs);
  const slightly = inGrace.filter((at) => nowAt - at < minuteMs);
  const overdue = inGrace.filter((at) => nowAt - at >= minuteMs);
  const wanted = { latest: 1, all: 1_000, skip: 0 }[misfire];
  const kept = overdue.slice(overdue.length - Math.min(overdue.length, Math.max(0, wanted - slightly.length)));
  const reason = { latest: "coalesced", all: "catchup_limit", skip: "late" }[misfire];
  for (const at of overdue.slice(0, overdue.length - kept.length)) fates.set(at, `missed ${reason}`);

  const now = [...kept, ...slightly, ...occurrences.filter((at) => at === nowAt)];
  const room = { skip: 1, queue_one: 2, queue_all: 1_001, allow: instancesMax, cancel_previous: Infinity }[overlap] - (isHeld ? 1 : 0);
  for (const [index, at] of now.entries()) {
    if (overlap === "cancel_previous")
      fates.set(at, index === now.length - 1 ? "run" : `skipped overlap ${runId(scheduleId, now[index + 1] ?? 0)}`);
    else fates.set(at, index < room ? "run" : `skipped overlap ${isHeld ? heldRunId(scheduleId) : runId(scheduleId, now[0] ?? 0)}`);
  }
  for (const at of occurrences.filter((one) => one > nowAt && one < nowAt + horizonMs)) fates.set(at, "run");
  return fates;
}

/** What the ledger says of each occurrence. A stretch stands for the enumerator's occurrences between its ends, and must count exactly those. */
async function readFates(scheduleId: string, occurrences: readonly number[]): Promise<Fates> {
  const rows = await database.admin<
    { at: number; state: string; reason: string | null; from: number | null; count: number | null; blockedBy: string | null }[]
  >`
    select (extract(epoch from scheduled_for) * 1000)::float8 as at, state, reason, (extract(epoch from range_from) * 1000)::float8 as from, range_count as count,
      blocked_by as "blockedBy"
    from downbeat.runs where schedule_id = ${scheduleId} and trigger_id = '' order by scheduled_for`;
  const places = new Map(occurrences.map((at, index) => [at, index]));
  const fates: Fates = new Map();
  for (const { at, state, reason, from, count, blockedBy } of rows) {
    const [first = NaN, last = NaN] = [places.get(from ?? at), places.get(at)];
    const covered = occurrences.slice(first, last + 1);
    const fate = state === "pending" ? "run" : [state, reason, ...(blockedBy === null ? [] : [blockedBy])].join(" ");
    const isDoubled = covered.some((one) => fates.has(one));
    // Both ends are occurrences, the row counts all of them, and no other row has any of them.
    expect({ at, fate, count: count ?? 1, isDoubled }).toEqual({ at, fate, count: last - first + 1, isDoubled: false });
    for (const one of covered) fates.set(one, fate);
  }
  return fates;
}

/** Fates in the order of the occurrences, equal neighbours told once: it says as much as the map and is quick to compare. */
function story(fates: Fates, occurrences: readonly number[]): string[] {
  const parts: { from: number; count: number; fate: string }[] = [];
  for (const at of occurrences) {
    const fate = fates.get(at) ?? "nothing";
    const last = parts.at(-1);
    if (last?.fate === fate) last.count += 1;
    else parts.push({ from: at, count: 1, fate });
  }
  return parts.map(({ from, count, fate }) => `${new Date(from).toISOString()} ×${count}: ${fate}`);
}

const graces = [null, 15 * 60, 86_400];
const combinations: Policies[] = misfires.flatMap((misfire) =>
  graces.flatMap((graceSeconds) =>
    overlaps.flatMap((overlap) => [false, true].map((isHeld) => ({ misfire, graceSeconds, overlap, isHeld }))),
  ),
);

describe.each([
  ["3 minutes", 3 * minuteMs],
  ["90 minutes", 90 * minuteMs],
  ["1,500 minutes", 1_500 * minuteMs],
  ["30 days", 30 * dayMs],
])("a dispatcher that was away for %s", (_, awayMs) => {
  /** Not on a minute: the newest occurrence is half a minute late. */
  const nowAt = startAt + awayMs + 30_000;
  const occurrences = Array.from({ length: awayMs / minuteMs + 2 }, (_unused, index) => startAt + minuteMs * (index + 1));

  test("leaves each occurrence of a minutely schedule with exactly the fate that its misfire, grace and overlap policies say", async () => {
    await clock.set(startAt);
    const schedules = await Promise.all(
      combinations.map(async (policies) => ({ policies, id: await arrange(everyMinute, policies, startAt + minuteMs) })),
    );
    await clock.set(nowAt);
    await claimAll();
    for (const { policies, id } of schedules) {
      const predicted = predict(occurrences, nowAt, policies, id);
      const recorded = await readFates(id, occurrences);
      expect({ policies, story: story(recorded, occurrences) }).toEqual({ policies, story: story(predicted, occurrences) });
    }
    expect(await auditAll(nowAt)).toEqual(balanced(combinations.length));
    // The watermark has moved behind everything: coming back changes nothing.
    const before = await database.admin`select count(*)::int as count from downbeat.runs`;
    await claimAll();
    expect(await database.admin`select count(*)::int as count from downbeat.runs`).toEqual(before);
  });
});

test("thirty days of a minutely schedule are one row of the ledger under one policy, and two where the grace divides them", async () => {
  await clock.set(startAt);
  const policies = { misfire: "latest", overlap: "skip", isHeld: false } as const;
  const endless = await arrange(everyMinute, { ...policies, graceSeconds: null }, startAt + minuteMs);
  const aDay = await arrange(everyMinute, { ...policies, graceSeconds: 86_400 }, startAt + minuteMs);
  await clock.set(startAt + 30 * dayMs + 30_000);
  await claimAll();
  const stretches = (id: string) =>
    database.admin`select state, reason, range_count as count from downbeat.runs where schedule_id = ${id} and range_count is not null order by scheduled_for`;
  expect([...(await stretches(endless))]).toEqual([{ state: "missed", reason: "coalesced", count: 43_199 }]);
  expect([...(await stretches(aDay))]).toEqual([
    { state: "missed", reason: "grace", count: 41_760 },
    { state: "missed", reason: "coalesced", count: 1_439 },
  ]);
  expect(await auditAll(startAt + 30 * dayMs + 30_000)).toEqual(balanced(2));
});

const changing: Pattern[] = [
  { cronExpression: "*/20 1-3 * * *", timezone: "America/New_York", dstGap: "run_at_gap_end", dstOverlap: "first" },
  { cronExpression: "*/20 1-3 * * *", timezone: "America/New_York", dstGap: "shift", dstOverlap: "both" },
  { cronExpression: "*/20 1,23 * * *", timezone: "America/New_York", dstGap: "skip", dstOverlap: "last" },
  { cronExpression: "*/30 * * * *", timezone: "Europe/Berlin", dstGap: "run_at_gap_end", dstOverlap: "first" },
  { cronExpression: "15 2 L-3 * *", timezone: "Australia/Lord_Howe", dstGap: "shift", dstOverlap: "both" },
  { cronExpression: "45 1 * * SUN", timezone: "Europe/Berlin", dstGap: "skip", dstOverlap: "both" },
];

test("a downtime of thirty days through clock changes loses and doubles nothing in any zone and under any policy", async () => {
  const nowAt = startAt + 30 * dayMs + 17_000;
  await clock.set(startAt);
  const cases = await Promise.all(
    changing.flatMap((pattern) => {
      const occurrences = enumerateMinutes({ kind: "cron", ...pattern }, startAt + 1, nowAt + horizonMs + 40 * dayMs);
      return misfires.map(async (misfire) => {
        const policies: Policies = { misfire, graceSeconds: null, overlap: "queue_all", isHeld: false };
        return { pattern, policies, occurrences, id: await arrange(pattern, policies, occurrences[0] ?? 0) };
      });
    }),
  );
  await clock.set(nowAt);
  await claimAll();
  for (const { pattern, policies, occurrences, id } of cases) {
    const predicted = predict(occurrences, nowAt, policies, id);
    const recorded = await readFates(id, occurrences);
    expect({ pattern, policies, story: story(recorded, occurrences) }).toEqual({ pattern, policies, story: story(predicted, occurrences) });
    const [due] =
      await database.admin`select (extract(epoch from next_run_at) * 1000)::float8 as at from downbeat.schedule_due where schedule_id = ${id}`;
    expect(due?.["at"]).toBe(occurrences.find((at) => at >= nowAt + horizonMs));
  }
  expect(await auditAll(nowAt)).toEqual(balanced(cases.length));
});
