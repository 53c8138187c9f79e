import { leaveTurns } from "@downbeat/store/leave-turns.ts";
import { saveTurn } from "@downbeat/store/save-turn.ts";
import { takeTurn } from "@downbeat/store/take-turn.ts";
import { type ArrangedEndpoint, type ArrangedRule, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditLedger, type AuditOptions } from "./audit-ledger.ts";
import { claimDue } from "./claim-due.ts";

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

let database: TestDatabase;
let sql: Sql;
let endpoint: ArrangedEndpoint;
/** The database's clock at the start of a test, on a whole second. */
let now: number;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = database.connectAs("downbeat_dispatcher", 2);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin`
    truncate downbeat.runs, downbeat.schedules, downbeat.schedule_events, downbeat.schedule_gates, downbeat.audit_passes, downbeat.system_state cascade`;
  endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  now = Math.floor((await databaseNow(database.admin)) / secondMs) * secondMs;
});

const hourly: ArrangedRule = { kind: "interval", intervalSeconds: 3_600, anchorAt: 0 };
const minutely: ArrangedRule = { kind: "cron", cronExpression: "* * * * *" };
const nextHour = (from: number) => Math.ceil(from / hourMs) * hourMs;

type Columns = Record<string, string | number | string[] | null>;

/** A schedule that was made just before its first occurrence, at `since`. */
async function schedule(rule: ArrangedRule, since: number, columns: Columns = {}): Promise<string> {
  const [id = ""] = await arrangeSchedules(database.admin, endpoint, { rule, nextRunAt: since });
  const made = text(Math.min(since, now) - 1);
  await change(id, { created_at: made, revised_at: made, updated_at: made, ...columns });
  return id;
}

async function change(id: string, columns: Columns): Promise<void> {
  await database.admin`update downbeat.schedules set ${database.admin(columns)} where id = ${id}`;
}

/** What the API does to the runs of the future when a schedule is edited or paused. */
async function withdraw(id: string): Promise<void> {
  await database.admin`update downbeat.runs set state = 'canceled', reason = 'schedule_changed', finished_at = now(), sweep_at = null
    where schedule_id = ${id} and due_at > now() and state = 'pending'`;
}

async function claim(horizonMs = 75 * secondMs): Promise<void> {
  const { log } = captureLog();
  for (;;) {
    const { hasMore } = await claimDue({ sql, log, horizonMs, batchSize: 100, publishTimeoutMs: 10_000 });
    if (!hasMore) return;
  }
}

function auditOptions(options: Partial<AuditOptions> = {}): AuditOptions {
  return {
    sql,
    clock: new ManualClock(now),
    log: captureLog().log,
    dispatcher: "d1",
    signal: new AbortController().signal,
    everyMs: 0,
    windowMs: dayMs,
    ...options,
  };
}

const audit = (options: Partial<AuditOptions> = {}) => auditLedger(auditOptions(options));
const inBalance = { lost: 0, unexpected: 0, isFinished: true };
const passes = () =>
  database.admin`select schedules, expected::int, recorded::int, lost::int, unexpected::int, findings from downbeat.audit_passes order by started_at`;
const text = (at: number) => new Date(at).toISOString();

describe("rule and ledger are in balance", () => {
  test("after a day of every kind of schedule, claimed late under every misfire policy", async () => {
    const since = now - 20 * hourMs;
    for (const misfire of ["latest", "all", "skip"]) {
      await schedule(minutely, Math.ceil(since / minuteMs) * minuteMs, { misfire });
      await schedule(hourly, nextHour(since), { misfire, grace_seconds: 7_200 });
      await schedule({ kind: "once", runAt: since }, since, { misfire });
    }
    await claim();
    // As far as it is certain; the clock goes on.
    const hours = Math.floor((now - nextHour(since)) / hourMs) + 1;
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 9, recorded: counts?.expected, ...inBalance });
    expect(counts?.expected).toBeGreaterThanOrEqual(3 * (20 * 60 + hours + 1));
  });

  test("of a stretch that began long before the window", async () => {
    await schedule(minutely, Math.ceil((now - 3 * dayMs) / minuteMs) * minuteMs);
    await claim();
    expect(await audit()).toEqual({ schedules: 1, expected: 24 * 60, recorded: 24 * 60, ...inBalance });
  });

  test("of a stretch that reaches beyond the window: under maintenance that ends in a moment, what is to come is skipped already", async () => {
    await schedule({ kind: "interval", intervalSeconds: 10, anchorAt: 0 }, Math.ceil((now - 3 * dayMs) / 10_000) * 10_000);
    await database.admin`update downbeat.tenants set maintenance_from = ${text(now - hourMs)}, maintenance_until = ${text(now + minuteMs)} where id = ${endpoint.tenantId}`;
    await claim();
    const [row] = await database.admin`select scheduled_for > now() as ahead from downbeat.runs where reason = 'maintenance'`;
    expect(row).toEqual({ ahead: true });
    expect(await audit()).toMatchObject({ ...inBalance });
  });

  test("of a schedule that is put off by maintenance: nothing is due before its watermark", async () => {
    await schedule(minutely, Math.ceil((now - 3 * dayMs) / minuteMs) * minuteMs);
    await database.admin`update downbeat.tenants set maintenance_from = ${text(now - 2 * hourMs)} where id = ${endpoint.tenantId}`;
    await claim();
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 1, ...inBalance });
    expect(counts?.expected).toBeLessThanOrEqual(22 * 60 + 1);
  });

  test("of a spread schedule, whose runs start later than their occurrences", async () => {
    await schedule(hourly, nextHour(now - 3 * dayMs), { spread_share: 1 });
    await schedule(hourly, nextHour(now - 3 * dayMs), { spread_seconds: 50 });
    await claim();
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 2, ...inBalance });
    // The newest occurrence of either may still be to start.
    expect(counts?.expected).toBeGreaterThanOrEqual(2 * 23);
  });

  test("of a schedule with calendars, and of one whose calendar has just changed", async () => {
    const nights = ["SUN-SAT 20:00-24:00", "SUN-SAT 00:00-06:00"];
    const [calendar] = await database.admin<{ id: string }[]>`
      insert into downbeat.calendars (name, kind, entries, updated_at)
      values ('nights', 'blackout', ${database.admin.json(nights)}, ${text(now - 4 * dayMs)}) returning id`;
    await schedule(hourly, nextHour(now - 3 * dayMs), { calendar_ids: [calendar?.id ?? ""], grace_seconds: null, misfire: "all" });
    await claim();
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 1, ...inBalance });
    expect(counts?.expected).toBeGreaterThan(0);
    expect(counts?.expected).toBeLessThan(24);
    await database.admin`update downbeat.calendars set entries = '["SUN-SAT 06:00-20:00"]', updated_at = now()`;
    expect(await audit()).toMatchObject({ expected: 0, recorded: 0, ...inBalance });
  });

  test("of a paused schedule, and of one whose pause ends by itself", async () => {
    const paused = await schedule(minutely, Math.ceil((now - 3 * dayMs) / minuteMs) * minuteMs);
    const until = await schedule(minutely, Math.ceil((now - 3 * dayMs) / minuteMs) * minuteMs);
    await claim();
    for (const id of [paused, until]) {
      await withdraw(id);
      await change(id, { revision: 2, paused_at: text(now), revised_at: text(now) });
    }
    await database.admin`delete from downbeat.schedule_due where schedule_id = ${paused}`;
    await change(until, { paused_until: text(now + hourMs) });
    await database.admin`update downbeat.schedule_due set scheduled_for = next_run_at, next_run_at = ${text(now + hourMs)} where schedule_id = ${until}`;
    expect(await audit()).toMatchObject(inBalance);
  });

  test("of a schedule whose pause was over: what fell into it is skipped", async () => {
    const id = await schedule(minutely, Math.ceil((now - 3 * hourMs) / minuteMs) * minuteMs);
    await change(id, {
      paused_at: text(now - 3 * hourMs),
      revised_at: text(now - 3 * hourMs),
      paused_until: text(now - hourMs),
      revision: 2,
    });
    await claim();
    // The pause ended with the claim, so the journal of the end is the beginning of what can be compared.
    expect(await audit()).toMatchObject(inBalance);
    await database.admin`update downbeat.schedule_events set at = ${text(now - 2 * hourMs)}`;
    expect(await audit()).toMatchObject({ ...inBalance, expected: 120 });
    await database.admin`delete from downbeat.schedule_events`;
    expect(await audit()).toMatchObject({ ...inBalance, expected: 180 });
  });

  test("of an edited schedule: what was claimed ahead is withdrawn, what is left of it is expected again", async () => {
    const id = await schedule({ kind: "interval", intervalSeconds: 1, anchorAt: 0 }, now - 100 * secondMs, { misfire: "all" });
    await claim();
    // Edited half a minute ago, to every second second. The runs after that were ahead of it then.
    const editedAt = now - 30 * secondMs;
    await database.admin`update downbeat.runs set state = 'canceled', reason = 'schedule_changed' where schedule_id = ${id} and scheduled_for > ${text(editedAt)}`;
    await change(id, { revision: 2, revised_at: text(editedAt), interval_seconds: 2 });
    await database.admin`update downbeat.schedule_due set next_run_at = ${text(Math.ceil((editedAt + 1) / 2_000) * 2_000)}, scheduled_for = null where schedule_id = ${id}`;
    await claim();
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 1, ...inBalance });
    expect(counts?.expected).toBeGreaterThanOrEqual(15);
  });

  test("of a completed schedule, and of one that has had all its runs", async () => {
    await schedule({ kind: "once", runAt: now - hourMs }, now - hourMs);
    await schedule(hourly, nextHour(now - 3 * dayMs), { ends_at: text(now - 3 * hourMs) });
    const limited = await schedule(minutely, Math.ceil((now - hourMs) / minuteMs) * minuteMs, { max_runs: 5, misfire: "all" });
    await claim();
    // Its five runs were started, so the next look completes it.
    await database.admin`insert into downbeat.schedule_gates (tenant_id, schedule_id, started) values (${endpoint.tenantId}, ${limited}, 5)`;
    await database.admin`update downbeat.runs set state = 'succeeded', sweep_at = null, attempt = 1 where schedule_id = ${limited}`;
    await database.admin`update downbeat.schedule_due set scheduled_for = coalesce(scheduled_for, next_run_at), next_run_at = now()`;
    await claim();
    const [rule] = await database.admin`select completed_reason from downbeat.schedules where id = ${limited}`;
    expect(rule).toEqual({ completed_reason: "max_runs" });
    await change(limited, { revised_at: text(now - hourMs) });
    expect(await audit()).toMatchObject({ schedules: 3, ...inBalance });
  });

  test("while dispatchers go on claiming: what one audit sees is of one instant", async () => {
    for (let count = 0; count < 20; count += 1)
      await schedule({ kind: "interval", intervalSeconds: 1, anchorAt: 0 }, now - hourMs, { misfire: "all" });
    const auditor = database.connectAs("downbeat_dispatcher", 1);
    const claiming = Promise.all([claim(), claim()]).then(() => "claimed" as const);
    let state: "claiming" | "claimed" = "claiming";
    while (state === "claiming") {
      expect(await audit({ sql: auditor })).toMatchObject(inBalance);
      state = await Promise.race([claiming, Promise.resolve("claiming" as const)]);
    }
    const counts = await audit();
    expect(counts).toMatchObject({ schedules: 20, ...inBalance });
    expect(counts?.expected).toBeGreaterThanOrEqual(20 * 3_600);
  });
});

describe("a difference", () => {
  test("of a lost run names schedule and instant: in the record of the round, in the schedule's journal, and in one error line", async () => {
    const id = await schedule(hourly, nextHour(now - 2 * dayMs), {
      misfire: "all",
      grace_seconds: null,
      overlap: "allow",
      max_instances: 100,
    });
    await schedule(minutely, Math.ceil((now - 2 * dayMs) / minuteMs) * minuteMs);
    await claim();
    const at = nextHour(now - 10 * hourMs);
    await database.admin`delete from downbeat.runs where schedule_id = ${id} and scheduled_for = ${text(at)}`;
    const { log, lines } = captureLog();
    expect(await audit({ log })).toMatchObject({ lost: 1, unexpected: 0, isFinished: true });
    const [pass] = await passes();
    expect(pass).toMatchObject({
      schedules: 2,
      lost: 1,
      unexpected: 0,
      findings: [
        { kind: "lost", at: text(at), schedule_id: id, tenant_id: endpoint.tenantId, schedule: expect.stringMatching(/^schedule-/) },
      ],
    });
    expect(pass?.["expected"] - pass?.["recorded"]).toBe(1);
    const events = () =>
      database.admin`select schedule_id as id, event, detail from downbeat.schedule_events where event = 'audit_difference'`;
    expect(await events()).toEqual([
      { id, event: "audit_difference", detail: { lost: [text(at)], unexpected: [], lost_count: 1, unexpected_count: 0 } },
    ]);
    expect(lines).toMatchObject([
      { level: "error", schedule: id, tenant: endpoint.tenantId, lost: [text(at)], unexpected: [] },
      { level: "error", msg: "audit", lost: 1 },
    ]);

    // An hour later it is still in the window: the round says so, and it is not told again.
    const later = captureLog();
    expect(await audit({ log: later.log })).toMatchObject({ lost: 1 });
    expect(later.lines).toMatchObject([{ level: "error", msg: "audit", lost: 1 }]);
    expect(await events()).toHaveLength(1);
  });

  test("of a run that no rule asked for is unexpected; manual runs and backfills are nobody's occurrence", async () => {
    const id = await schedule(hourly, nextHour(now - 2 * dayMs));
    await claim();
    const at = nextHour(now - 5 * hourMs) + 7 * minuteMs;
    const insert = (triggerId: string) => database.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, trigger_id, state, due_at)
      select ${endpoint.tenantId}, (left(downbeat.first_run_id(${text(at)})::text, 24) || substr(md5(${triggerId}), 1, 12))::uuid, ${id}, 1, ${text(at)}, ${triggerId}, 'succeeded', ${text(at)}`;
    await insert("request-1");
    await insert("backfill 1");
    expect(await audit()).toEqual({ schedules: 1, expected: 24, recorded: 24, ...inBalance });
    await insert("");
    expect(await audit()).toMatchObject({ lost: 0, unexpected: 1 });
    const [, pass] = await passes();
    expect(pass).toMatchObject({ unexpected: 1, findings: [{ kind: "unexpected", at: text(at), schedule_id: id }] });
  });

  test("of a schedule that dropped out of the due index shows within the hour; a deleted one is left out", async () => {
    const [gone, deleted] = [await schedule(hourly, nextHour(now - 2 * dayMs)), await schedule(hourly, nextHour(now - 2 * dayMs))];
    await database.admin`delete from downbeat.schedule_due`;
    await change(deleted, { deleted_at: text(now) });
    expect(await audit()).toMatchObject({ schedules: 1, lost: 24 });
    const [pass] = await passes();
    const findings: { schedule_id: string }[] = pass?.["findings"];
    expect(new Set(findings.map(({ schedule_id }) => schedule_id))).toEqual(new Set([gone]));
  });

  test("of many instants is counted in full and named in part", async () => {
    for (let count = 0; count < 10; count += 1) await schedule(minutely, now - 2 * dayMs);
    await database.admin`delete from downbeat.schedule_due`;
    const { log, lines } = captureLog();
    const counts = await audit({ log });
    expect(counts).toMatchObject({ schedules: 10, lost: 10 * 24 * 60, expected: 10 * 24 * 60, recorded: 0 });
    const [pass] = await passes();
    expect(pass?.["findings"]).toHaveLength(100);
    expect(lines.filter(({ schedule: named }) => named !== undefined)).toHaveLength(10);
    for (const { lost } of lines.filter(({ schedule: named }) => named !== undefined)) expect(lost).toHaveLength(20);
  });

  test("cannot be told of a schedule that nobody can evaluate; the others are compared", async () => {
    await schedule({ kind: "cron", cronExpression: "61 * * * *" }, now + hourMs);
    await schedule(hourly, nextHour(now - 2 * dayMs));
    await claim();
    expect(await audit()).toMatchObject({ schedules: 1, ...inBalance });
  });
});

describe("dispatchers take turns", () => {
  const everyHour = { everyMs: hourMs };

  test("of several at once, one audits; none does again within the hour", async () => {
    await schedule(hourly, nextHour(now - 2 * dayMs));
    await claim();
    const dispatchers = ["d1", "d2", "d3", "d4"].map((dispatcher) =>
      audit({ dispatcher, sql: database.connectAs("downbeat_dispatcher", 1), ...everyHour }),
    );
    const done = (await Promise.all(dispatchers)).filter((counts) => counts !== null);
    expect(done).toHaveLength(1);
    expect(await audit(everyHour)).toBeNull();
    expect(await passes()).toHaveLength(1);
    await database.admin`update downbeat.system_state set value = value || jsonb_build_object('startedAt', (value->>'startedAt')::float8 - 3600000)`;
    expect(await audit(everyHour)).not.toBeNull();
    expect(await passes()).toHaveLength(2);
  });

  test("a round that was left in the middle goes on where it stopped, and its record has the sum of all", async () => {
    for (let count = 0; count < 5; count += 1) await schedule(hourly, nextHour(now - 2 * dayMs));
    await claim();
    await database.admin`delete from downbeat.runs where scheduled_for = (select max(scheduled_for) from downbeat.runs) and schedule_id <> (select id from downbeat.schedules order by id limit 1)`;
    const step = { ...everyHour, schedulesMax: 2 };
    const first = await audit({ ...step, dispatcher: "d1" });
    expect(first).toMatchObject({ schedules: 2, isFinished: false });
    expect(await passes()).toEqual([]);
    // d1 is still at it.
    expect(await audit({ ...step, dispatcher: "d2" })).toBeNull();
    await leaveTurns(sql, "d1");
    // Cut off before it could save: nothing of this step counts.
    const aborted = new AbortController();
    aborted.abort();
    expect(await audit({ ...step, dispatcher: "d2", signal: aborted.signal })).toBeNull();
    await leaveTurns(sql, "d2");
    const second = await audit({ ...step, dispatcher: "d3" });
    expect(second).toMatchObject({ schedules: 2, isFinished: false });
    const third = await audit({ ...step, dispatcher: "d3" });
    expect(third).toMatchObject({ schedules: 1, isFinished: true });
    const [pass] = await passes();
    expect(pass).toMatchObject({ schedules: 5, expected: 5 * 24 });
    expect(pass?.["expected"] - pass?.["recorded"]).toBe(pass?.["lost"]);
    expect(pass?.["lost"]).toBe((first?.lost ?? 0) + (second?.lost ?? 0) + (third?.lost ?? 0));
  });

  test("a dispatcher that died in the middle is waited for a minute; what it still does after that is not written", async () => {
    await schedule(hourly, nextHour(now - 2 * dayMs));
    await schedule(hourly, nextHour(now - 2 * dayMs));
    await claim();
    const step = { ...everyHour, schedulesMax: 1 };
    expect(await audit({ ...step, dispatcher: "dead" })).not.toBeNull();
    expect(await audit({ ...step, dispatcher: "d2" })).toBeNull();
    await database.admin`update downbeat.system_state set updated_at = now() - interval '61 seconds'`;
    expect(await audit({ ...step, dispatcher: "d2" })).toMatchObject({ schedules: 1 });
    await expect(
      sql.begin((transaction) => saveTurn(transaction, { key: "audit", holder: "dead", progress: null, isFinished: true })),
    ).rejects.toMatchObject({ name: "LostTurnError" });
    expect(await takeTurn(sql, { key: "audit", holder: "dead", subject: "", everyMs: 0 })).toBeNull();
  });

  test("a step ends when it has compared enough, also in the middle of its schedules", async () => {
    for (let count = 0; count < 4; count += 1) await schedule(minutely, Math.ceil((now - 2 * dayMs) / minuteMs) * minuteMs);
    await claim();
    const step = { ...everyHour, occurrencesMax: 24 * 60 + 1 };
    expect(await audit(step)).toMatchObject({ schedules: 2, isFinished: false });
    expect(await audit(step)).toMatchObject({ schedules: 2, isFinished: true });
    expect(await passes()).toMatchObject([{ schedules: 4, expected: 4 * 24 * 60, lost: 0, unexpected: 0 }]);
  });

  test("without any schedule a round is done at once, and recorded: no difference is an answer too", async () => {
    expect(await audit()).toEqual({ schedules: 0, expected: 0, recorded: 0, ...inBalance });
    expect(await passes()).toEqual([{ schedules: 0, expected: 0, recorded: 0, lost: 0, unexpected: 0, findings: [] }]);
  });
});
