import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
import { claimDue } from "@downbeat/dispatcher/claim-due.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { readyPartitions } from "@downbeat/store/ensure-partitions.ts";
import { leaseRuns } from "@downbeat/store/lease-runs.ts";
import { type DatabaseClock, useManualDatabaseClock } from "@downbeat/testkit/database-clock.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

/**
 * What calendars, maintenance and limits, given through the API, make of claims and leases. Postgres's clock is moved by hand, so each story plays at its own minutes; every
 * story has a tenant and a day of its own.
 */
let api: TestApi;
let clock: DatabaseClock;
let dispatcher: Sql;
let executor: Sql;
let tenant: TestTenant;
/** Noon of a Monday. */
let noon = Date.UTC(2031, 2, 3, 12);
let stories = 0;

const minuteMs = 60_000;
const weekMs = 7 * 86_400_000;
const horizonMs = 75_000;
const log = createLog("test", "fatal");

beforeAll(async () => {
  api = await startTestApi();
  clock = await useManualDatabaseClock(api.database, noon);
  dispatcher = api.database.connectAs("downbeat_dispatcher");
  executor = api.database.connectAs("downbeat_executor");
});
afterAll(() => api.close());

beforeEach(async () => {
  stories += 1;
  noon += weekMs;
  await clock.set(noon);
  await readyPartitions(dispatcher);
  await api.admin`delete from downbeat.schedule_due`;
  tenant = await api.addTenant(`tenant-${stories}`);
});

/** An instant of the story, in minutes after noon. */
const at = (minutes: number) => noon + minutes * minuteMs;
const iso = (minutes: number) => new Date(at(minutes)).toISOString();
const minutesOf = (instant: Date) => (instant.getTime() - noon) / minuteMs;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

async function call(method: string, path: string, body?: unknown, key = tenant.key) {
  const answer = await api.call(method, `/api/v1/${path}`, { key, ...(body === undefined ? {} : { body }) });
  expect({ path, isDone: answer.status < 300, text: answer.text }).toMatchObject({ isDone: true });
  return answer.body;
}

const everyMinute = { cron_expression: "* * * * *", endpoint: "shop" };
/** Every minute unless told otherwise. Answers its id. */
async function schedule(name: string, fields: Record<string, unknown> = {}): Promise<string> {
  return (await call("POST", "schedules", { ...everyMinute, name, ...fields })).id;
}

/** A dispatcher's pass. */
async function claim(): Promise<void> {
  while ((await claimDue({ sql: dispatcher, log, horizonMs, batchSize: 1_000, publishTimeoutMs: 10_000 })).hasMore);
}

/** Lets the clock go from one minute to another, with a pass each half of a minute. */
async function goOn(fromMinutes: number, toMinutes: number): Promise<void> {
  for (let minutes = fromMinutes; minutes <= toMinutes; minutes += 0.5) {
    await clock.set(at(minutes));
    await claim();
  }
}

/** An executor takes what is due now. Answers verdicts by minute. */
async function lease(): Promise<Map<number, string>> {
  const waiting = await api.admin<{ runId: string; tenantId: string; scheduledFor: Date }[]>`
    select id as "runId", tenant_id as "tenantId", scheduled_for as "scheduledFor" from downbeat.runs where tenant_id = ${tenant.id} and state in ('pending', 'queued')`;
  const { answers } = await leaseRuns(executor, { keys: waiting, executor: "executor-1", leaseMs: 45_000, holdMsMax: 0 });
  const minutesOfRun = new Map(waiting.map(({ runId, scheduledFor }) => [runId, minutesOf(scheduledFor)]));
  return new Map(
    answers.map((answer) => [minutesOfRun.get(answer.verdict === "leased" ? answer.run.runId : answer.key.runId) ?? NaN, answer.verdict]),
  );
}

interface LedgerRow {
  minutes: number;
  /** The beginning of a stretch. */
  from: number | null;
  count: number | null;
  what: string;
}

/** The occurrences that the ledger has of a schedule, in order. */
async function ledger(scheduleId: string): Promise<LedgerRow[]> {
  const rows = await api.admin<{ at: Date; from: Date | null; count: number | null; state: string; reason: string | null }[]>`
    select scheduled_for as at, range_from as "from", range_count as count, state, reason from downbeat.runs
    where schedule_id = ${scheduleId} and trigger_id = '' order by scheduled_for`;
  return rows.map(({ at: instant, from, count, state, reason }) => ({
    minutes: minutesOf(instant),
    from: from === null ? null : minutesOf(from),
    count,
    what: reason === null ? state : `${state} (${reason})`,
  }));
}

const run = (minutes: number, what = "pending"): LedgerRow => ({ minutes, from: null, count: null, what });
const stretch = (from: number, to: number, what: string, count = to - from + 1): LedgerRow => ({ minutes: to, from, count, what });

async function nextRun(scheduleId: string): Promise<number | null> {
  const { next_run_at: next } = await call("GET", `schedules/${scheduleId}`);
  return next === null ? null : minutesOf(new Date(next));
}

describe("calendars", () => {
  test("occurrences inside a blackout do not exist: nothing runs, and nothing is missed", async () => {
    await call("POST", "calendars", { name: "lunch", kind: "blackout", timezone: "Europe/Berlin", entries: ["MON-FRI 13:05-13:10"] });
    const id = await schedule("all day", { calendars: ["lunch"] });
    await goOn(0, 12);
    expect(await ledger(id)).toEqual([...range(1, 4), ...range(10, 13)].map((minutes) => run(minutes)));
  });

  test("occurrences outside of every allow calendar do not exist", async () => {
    await call("POST", "calendars", { name: "early", kind: "allow", entries: [`${iso(2)}/${iso(4)}`] });
    await call("POST", "calendars", { name: "late", kind: "allow", entries: [`${iso(8)}/${iso(10)}`] });
    const id = await schedule("by appointment", { calendars: ["early", "late"] });
    await goOn(0, 12);
    expect(await ledger(id)).toEqual([2, 3, 8, 9].map((minutes) => run(minutes)));
    expect(await call("GET", `schedules/${id}`)).toMatchObject({ state: "completed" });
  });

  test("a change withdraws what was claimed ahead and falls out now; what both calendars admit keeps its run", async () => {
    const { id: calendar } = await call("POST", "calendars", { name: "stop", kind: "blackout", entries: ["2020-01-01"] });
    const id = await schedule("watched", { calendars: ["stop"] });
    await claim();
    expect(await ledger(id)).toEqual([run(1)]);
    const [before] = await api.admin`select id from downbeat.runs where schedule_id = ${id}`;
    const { change } = await call("PATCH", `calendars/${calendar}`, { entries: [`${iso(0.5)}/${iso(5)}`] });
    expect(change).toMatchObject({ recomputed: 1, withdrawn: 1, schedules: [{ next_run_at_before: iso(1), next_run_at_after: iso(5) }] });
    expect([await ledger(id), await nextRun(id)]).toEqual([[run(1, "canceled (schedule_changed)")], 5]);
    await claim();
    expect(await ledger(id)).toEqual([run(1, "canceled (schedule_changed)")]);
    // Taken back before its time has come.
    expect((await call("PATCH", `calendars/${calendar}`, { entries: ["2020-01-01"] })).change).toMatchObject({ withdrawn: 0 });
    await claim();
    expect(await ledger(id)).toEqual([run(1)]);
    expect(await api.admin`select id from downbeat.runs where schedule_id = ${id}`).toEqual([before]);
    const journal = await api.admin`select event from downbeat.run_events where run_id = ${before?.["id"]} order by id`;
    expect(journal).toMatchObject([{ event: "canceled" }]);
  });

  test("what was due when the calendar changed is untouched, also where no dispatcher had been there to claim it", async () => {
    const { id: calendar } = await call("POST", "calendars", { name: "stop", kind: "blackout", entries: ["2020-01-01"] });
    const id = await schedule("unclaimed", { calendars: ["stop"], misfire: "all" });
    await clock.set(at(2.5));
    await call("PATCH", `calendars/${calendar}`, { entries: [`${iso(0)}/${iso(10)}`] });
    const rows = await api.admin`select schedule_revision as revision from downbeat.runs where schedule_id = ${id}`;
    expect([await ledger(id), rows, await nextRun(id)]).toEqual([[run(1), run(2)], [{ revision: 1 }, { revision: 1 }], 10]);
    await goOn(2.5, 10);
    expect(await ledger(id)).toEqual([1, 2, 10, 11].map((minutes) => run(minutes)));
    expect((await lease()).get(2)).toBe("held");
  });
});

describe("maintenance", () => {
  const path = () => `tenants/${tenant.slug}/maintenance`;
  const begin = (body: Record<string, unknown> = {}) => call("POST", path(), body);
  const end = () => call("DELETE", path());
  const skipped = "skipped (maintenance)";

  test("while it is on nothing is claimed; when it was ended, what fell into it is exactly one row of each schedule, and what is later runs", async () => {
    const rules: [string, Record<string, unknown>, (minutes: number) => boolean][] = [
      ["every minute", {}, () => true],
      ["every seven", { cron_expression: "*/7 * * * *" }, (minutes) => minutes % 7 === 0],
      ["an interval", { cron_expression: undefined, interval_seconds: 180 }, (minutes) => minutes > 0 && minutes % 3 === 0],
      ["spread", { cron_expression: "*/5 * * * *", spread: "1m" }, (minutes) => minutes % 5 === 0],
    ];
    const ids = await Promise.all(rules.map(([name, fields]) => schedule(name, fields)));
    const other = tenant;
    tenant = await api.addTenant(`neighbour-${stories}`);
    const neighbour = await schedule("not concerned");
    tenant = other;
    await clock.set(at(0.25));
    await begin({ reason: "moving house" });
    await goOn(0.5, 30);
    for (const id of ids) expect(await ledger(id)).toEqual([]);
    await end();
    await claim();
    await goOn(30.5, 32);
    for (const [index, [name, , occurs]] of rules.entries()) {
      const inside = range(1, 30).filter(occurs);
      // One that is due at the very end of it, where the end is exclusive, runs.
      const fell = inside.filter((minutes) => minutes < 30);
      const found = await ledger(ids[index] ?? "");
      expect({ name, found }).toEqual({
        name,
        found: [
          stretch(fell[0] ?? NaN, fell.at(-1) ?? NaN, skipped, fell.length),
          ...range(30, 33)
            .filter(occurs)
            .map((minutes) => run(minutes)),
        ],
      });
    }
    expect(await ledger(neighbour)).toEqual(range(1, 33).map((minutes) => run(minutes)));
  });

  test("one that ends by itself is accounted for the same, by a dispatcher that was there or by one that comes hours later", async () => {
    const id = await schedule("followed", { overlap: "allow", max_instances: 100 });
    await begin({ from: iso(3), until: iso(10) });
    await goOn(0, 12);
    expect(await ledger(id)).toEqual([run(1), run(2), stretch(3, 9, skipped), ...range(10, 13).map((minutes) => run(minutes))]);
    await begin({ from: iso(20), until: iso(30) });
    await clock.set(at(200));
    await claim();
    const late = (await ledger(id)).filter(({ minutes }) => minutes > 13);
    expect(late).toEqual([
      // Before it and after it, a downtime as any other.
      stretch(14, 18, "missed (coalesced)"),
      run(19),
      stretch(20, 29, skipped),
      stretch(30, 198, "missed (coalesced)"),
      run(199),
      run(200),
      run(201),
    ]);
  });

  test("what a dispatcher that was away makes up for starts now, and so is skipped only if the maintenance is still on", async () => {
    const madeUp = { misfire: "all", overlap: "allow", max_instances: 100 };
    const [over, on] = [await schedule("over", madeUp), await schedule("on", madeUp)];
    await begin({ from: iso(10), until: iso(20) });
    // A dispatcher that comes while it is on; of the other schedule, one that comes after it.
    await clock.set(at(15.5));
    const [kept] = await api.admin`delete from downbeat.schedule_due where schedule_id = ${over} returning *`;
    await claim();
    expect(Object.fromEntries(await lease())).toEqual(Object.fromEntries(range(1, 9).map((minutes) => [minutes, "skipped"])));
    await api.admin`insert into downbeat.schedule_due ${api.admin(kept ?? {})}`;
    await clock.set(at(30.5));
    await claim();
    const [before, inside, after] = [range(1, 9), stretch(10, 19, skipped), range(20, 31).map((minutes) => run(minutes))];
    expect(await ledger(over)).toEqual([...before.map((minutes) => run(minutes)), inside, ...after]);
    expect(await ledger(on)).toEqual([...before.map((minutes) => run(minutes, skipped)), inside, ...after]);
    const leased = await lease();
    // Several of a schedule at once pass its gate one by one; none of them is skipped.
    expect(new Set(before.map((minutes) => leased.get(minutes)))).not.toContain("skipped");
  });

  test("an executor skips what was claimed before it began; runs asked for by hand and what was due before go on", async () => {
    const id = await schedule("claimed ahead", { overlap: "allow", max_instances: 10 });
    await goOn(0, 1);
    expect(await ledger(id)).toEqual([run(1), run(2)]);
    await clock.set(at(1.5));
    await begin();
    const { id: byHand } = await call("POST", `schedules/${id}/run`);
    await clock.set(at(2.1));
    expect(Object.fromEntries(await lease())).toEqual({ 1: "leased", 1.5: "held", 2: "skipped" });
    expect(await ledger(id)).toEqual([run(1, "running"), run(2, skipped)]);
    expect((await call("GET", `runs/${byHand}`)).state).toBe("pending");
  });

  test("its end can be moved out while it is on, and nothing of the longer one runs", async () => {
    const id = await schedule("extended");
    await begin({ until: iso(5) });
    await goOn(0, 3);
    await begin({ until: iso(8) });
    await goOn(3.5, 9);
    expect(await ledger(id)).toEqual([stretch(1, 7, skipped), run(8), run(9), run(10)]);
  });

  test("one that is planned and called off skips nothing", async () => {
    const id = await schedule("called off");
    await begin({ from: iso(2), until: iso(20) });
    await goOn(0, 1.5);
    expect(await ledger(id)).toEqual([run(1)]);
    await end();
    await claim();
    expect(await ledger(id)).toEqual([run(1), run(2)]);
  });

  test("another one that begins before a dispatcher has accounted for the last loses nothing of it", async () => {
    const [id, once] = [await schedule("twice"), await schedule("once", { cron_expression: undefined, run_at: iso(5) })];
    await begin();
    await clock.set(at(9.5));
    await end();
    await clock.set(at(15.5));
    await begin();
    const first = [stretch(1, 9, skipped), stretch(10, 14, "missed (coalesced)"), run(15)];
    expect(await ledger(id)).toEqual(first);
    expect(await ledger(once)).toEqual([stretch(5, 5, skipped)]);
    expect(await call("GET", `schedules/${once}`)).toMatchObject({ state: "completed", next_run_at: null });
    await goOn(16, 20.5);
    await end();
    await goOn(20.5, 21);
    expect(await ledger(id)).toEqual([...first, stretch(16, 20, skipped), run(21), run(22)]);
    expect(await ledger(once)).toHaveLength(1);
  });

  test("a run of the last one that still waits for an executor is skipped when another begins", async () => {
    const id = await schedule("waiting");
    await claim();
    await begin({ from: iso(0.5), until: iso(5) });
    await goOn(1, 5);
    await clock.set(at(5.5));
    await begin();
    expect((await ledger(id))[0]).toEqual(run(1, skipped));
    const journal =
      await api.admin`select event, reason from downbeat.run_events where run_id in (select id from downbeat.runs where schedule_id = ${id} and scheduled_for = ${new Date(at(1))})`;
    expect(journal).toEqual([{ event: "skipped", reason: "maintenance" }]);
  });

  test("where more is unaccounted for than one request should do, another one is refused until a dispatcher has been there", async () => {
    const template = await schedule("one of many");
    await api.admin`
      insert into downbeat.schedules (tenant_id, name, kind, cron_expression, endpoint_id, target)
      select tenant_id, name || ' ' || copy, kind, cron_expression, endpoint_id, target from downbeat.schedules, generate_series(1, 1000) as copy where id = ${template}`;
    await api.admin`
      insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at) select tenant_id, id, ${new Date(at(1))} from downbeat.schedules where tenant_id = ${tenant.id}
      on conflict do nothing`;
    await begin({ until: iso(5) });
    await clock.set(at(6));
    const refused = await api.call("POST", `/api/v1/${path()}`, { key: tenant.key });
    expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([409, "maintenance_unsettled", "60"]);
    expect(refused.body.detail).toContain(iso(5));
    await claim();
    await begin();
    expect(await ledger(template)).toContainEqual(stretch(1, 4, skipped));
  });

  test("an edit, a pause and the end of a pause account for what fell into it until then", async () => {
    const { id: calendar } = await call("POST", "calendars", { name: "stop", kind: "blackout", entries: ["2020-01-01"] });
    const [edited, paused, recalled] = [
      await schedule("edited"),
      await schedule("paused"),
      await schedule("recalled", { calendars: ["stop"] }),
    ];
    await clock.set(at(0.5));
    await begin();
    await clock.set(at(5.5));
    await call("PATCH", `schedules/${edited}`, { misfire: "skip" });
    await call("POST", `schedules/${paused}/pause`);
    await call("PATCH", `calendars/${calendar}`, { entries: ["2021-01-01"] });
    await clock.set(at(9.5));
    await end();
    await call("POST", `schedules/${paused}/resume`);
    await claim();
    for (const id of [edited, recalled]) expect(await ledger(id)).toEqual([stretch(1, 5, skipped), stretch(6, 9, skipped), run(10)]);
    expect(await ledger(paused)).toEqual([stretch(1, 5, skipped), stretch(6, 9, "skipped (paused)"), run(10)]);
  });

  test("ending it does not end the pause of a schedule that is paused until later", async () => {
    const id = await schedule("asleep");
    await call("POST", `schedules/${id}/pause`, { until: iso(20) });
    await clock.set(at(5));
    await begin();
    await clock.set(at(10));
    await end();
    await claim();
    expect([await ledger(id), await call("GET", `schedules/${id}`)]).toMatchObject([[], { state: "paused", paused_until: iso(20) }]);
  });

  test("ending it wakes the dispatchers, when it commits", async () => {
    await begin();
    const heard = Promise.withResolvers<void>();
    const listener = await api.admin.listen("downbeat_due", () => heard.resolve());
    await end();
    await expect(heard.promise).resolves.toBeUndefined();
    await listener.unlisten();
  });
});

describe("runs_per_day_max", () => {
  test("occurrences beyond a tenant's runs of the day are skipped for the budget, all its schedules together, until the next day or a higher limit", async () => {
    const limitTo = (runsPerDayMax: number | null) =>
      call("PATCH", `tenants/${tenant.slug}`, { limits: { runs_per_day_max: runsPerDayMax } }, api.adminKey);
    await limitTo(5);
    const ids = [await schedule("first"), await schedule("second")];
    const rows = async () => (await Promise.all(ids.map(ledger))).flat();
    const count = async (what: string, from: number) =>
      (await rows()).filter((row) => row.what === what && row.minutes >= from).reduce((sum, row) => sum + (row.count ?? 1), 0);
    await goOn(0, 9);
    expect([await count("pending", 1), await count("skipped (budget)", 1)]).toEqual([5, 2 * 10 - 5]);
    await limitTo(7);
    await goOn(9.5, 11);
    expect([await count("pending", 11), await count("skipped (budget)", 11)]).toEqual([2, 2]);
    await limitTo(null);
    await goOn(11.5, 12);
    expect(await count("pending", 13)).toBe(2);
    await limitTo(7);
    await goOn(12.5, 13);
    expect(await count("pending", 14)).toBe(0);
    const midnight = 12 * 60;
    await goOn(midnight, midnight + 9);
    expect(await count("pending", midnight - 1)).toBe(7);
  });
});
