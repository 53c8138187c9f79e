import type { Sql } from "@downbeat/store/connect.ts";
import { leaveTurns } from "@downbeat/store/leave-turns.ts";
import { moveSchedules } from "@downbeat/store/move-schedules.ts";
import { type ArrangedEndpoint, type ArrangedRule, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditLedger } from "./audit-ledger.ts";
import { watchTzdata, type WatchTzdataOptions } from "./watch-tzdata.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

let database: TestDatabase;
let sql: Sql;
let endpoint: ArrangedEndpoint;
/** The database's clock at the start of a test, on a whole minute. */
let now: number;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = database.connectAs("downbeat_dispatcher", 2);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin`
    truncate downbeat.runs, downbeat.schedules, downbeat.schedule_events, downbeat.calendars, downbeat.audit_passes, downbeat.system_state, downbeat.zone_changes cascade`;
  endpoint = await arrangeEndpoint(database.admin, "http://127.0.0.1:9");
  now = Math.floor((await databaseNow(database.admin)) / minuteMs) * minuteMs;
});

// Kolkata is half an hour past UTC + 5 all the year. The invented former version has it an hour further.
const kolkata = "Asia/Kolkata";
const kolkataMs = 5.5 * hourMs;
const daily = (minutes: number): ArrangedRule => {
  // So many minutes from now, in what Kolkata's clocks really show.
  const wall = new Date(now + kolkataMs + minutes * minuteMs);
  return { kind: "cron", cronExpression: `${wall.getUTCMinutes()} ${wall.getUTCHours()} * * *`, timezone: kolkata };
};

/** What a former version of the time zone database is said to have had. */
async function recordFormer(zones: { timezone: string; offsetMs: number }[], version = "2026a"): Promise<void> {
  for (const { timezone, offsetMs } of zones) {
    await database.admin`insert into downbeat.zone_changes (timezone, tzdata, from_at, until_at, offset_ms, changes)
      values (${timezone}, ${version}, ${text(now - 3 * dayMs)}, ${text(now + 400 * dayMs)}, ${offsetMs}, '[]')`;
  }
  await database.admin`insert into downbeat.system_state (key, value) values ('tzdata', ${database.admin.json({
    holder: null,
    subject: version,
    startedAt: now - hourMs,
    finishedAt: now - hourMs,
    progress: { after: null, zones: {} },
  })})`;
}

async function schedule(rule: ArrangedRule, nextRunAt: number, columns: Record<string, string | number | string[] | null> = {}) {
  const [id = ""] = await arrangeSchedules(database.admin, endpoint, { rule, nextRunAt });
  await database.admin`update downbeat.schedules set ${database.admin({ created_at: text(now - 3 * dayMs), revised_at: text(now - 3 * dayMs), ...columns })} where id = ${id}`;
  return id;
}

function watch(options: Partial<WatchTzdataOptions> = {}) {
  const { log } = captureLog();
  const signal = new AbortController().signal;
  return watchTzdata({ sql, clock: new ManualClock(now), log, dispatcher: "d1", signal, version: "2026c", ...options });
}

const text = (at: number) => new Date(at).toISOString();
const dueRows = async () => {
  const rows = await database.admin<{ id: string; at: number | null; lookedAt: number }[]>`
    select schedule_id as id, (extract(epoch from scheduled_for) * 1000)::float8 as at, (extract(epoch from next_run_at) * 1000)::float8 as "lookedAt" from downbeat.schedule_due`;
  return new Map(rows.map(({ id, at, lookedAt }) => [id, { at: at ?? lookedAt, lookedAt }]));
};
const events = () => database.admin`select schedule_id as id, actor, event, reason, detail from downbeat.schedule_events order by id`;
const zones = () =>
  database.admin`select timezone, tzdata, offset_ms as "offsetMs", jsonb_array_length(changes) as changes from downbeat.zone_changes order by timezone`;

describe("the zones in use are written down", () => {
  test("when a dispatcher first looks: those of cron schedules and of calendars, as its version has them; nothing has moved", async () => {
    await schedule(daily(60), now + hourMs);
    await schedule({ kind: "interval", intervalSeconds: 60, anchorAt: 0 }, now + minuteMs);
    await schedule({ kind: "cron", cronExpression: "0 9 * * *", timezone: "europe/berlin" }, now + hourMs, { deleted_at: text(now) });
    await database.admin`insert into downbeat.calendars (name, kind, timezone, entries) values ('c', 'blackout', 'America/New_York', '[]')`;
    expect(await watch()).toEqual({ schedules: 0, moved: 0, isFinished: true });
    const [newYork, india] = await zones();
    expect(newYork).toMatchObject({ timezone: "America/New_York", tzdata: "2026c" });
    // Of a little more than a year, every change.
    expect(newYork?.["changes"]).toBeGreaterThanOrEqual(2);
    expect(india).toEqual({ timezone: kolkata, tzdata: "2026c", offsetMs: kolkataMs, changes: 0 });
    expect(await events()).toEqual([]);
    const [state] =
      await database.admin`select value->>'subject' as version, value->>'holder' as holder from downbeat.system_state where key = 'tzdata'`;
    expect(state).toEqual({ version: "2026c", holder: null });
  });

  test("anew once a day, and those that came into use since", async () => {
    await schedule(daily(60), now + hourMs);
    await watch();
    await schedule({ kind: "cron", cronExpression: "0 9 * * *", timezone: "Asia/Tokyo" }, now + hourMs);
    expect(await watch()).toBeNull();
    await database.admin`update downbeat.system_state set value = value || jsonb_build_object('startedAt', ${now - 25 * hourMs}::float8)`;
    expect(await watch()).toMatchObject({ moved: 0, isFinished: true });
    expect((await zones()).map(({ timezone }) => timezone)).toEqual([kolkata, "Asia/Tokyo"]);
  });
});

describe("a new version of the time zone database", () => {
  test("that changes nothing near looks at no schedule, and is noted", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs }]);
    await schedule(daily(60), now + hourMs);
    const { log, lines } = captureLog();
    expect(await watch({ log })).toEqual({ schedules: 0, moved: 0, isFinished: true });
    expect(await zones()).toEqual([{ timezone: kolkata, tzdata: "2026c", offsetMs: kolkataMs, changes: 0 }]);
    expect(lines).toEqual([]);
  });

  test("tells which schedules move, before they do, and moves their watermarks with their slots", async () => {
    await recordFormer([
      { timezone: kolkata, offsetMs: kolkataMs + hourMs },
      { timezone: "Asia/Tokyo", offsetMs: 9 * hourMs },
    ]);
    // Really due three hours from now; by the former version, two.
    const moving = await schedule(daily(180), now + 120 * minuteMs);
    const realTime = await schedule({ kind: "cron", cronExpression: "* * * * *", timezone: kolkata }, now + 2 * minuteMs);
    const elsewhere = await schedule({ kind: "cron", cronExpression: "0 9 * * *", timezone: "Asia/Tokyo" }, now + hourMs);
    const interval = await schedule({ kind: "interval", intervalSeconds: 60, anchorAt: 0 }, now + 2 * minuteMs);
    const before = await dueRows();
    const { log, lines } = captureLog();
    expect(await watch({ log })).toEqual({ schedules: 2, moved: 1, isFinished: true });

    const at = now + 180 * minuteMs;
    const days = [0, 1, 2, 3, 4].map((day) => at + day * dayMs);
    expect(await events()).toEqual([
      {
        id: moving,
        actor: "dispatcher",
        event: "moved",
        reason: "time zone database 2026c",
        detail: {
          timezones: [kolkata],
          tzdata_before: "2026a",
          tzdata: "2026c",
          gone: days.map((day) => text(day - hourMs)),
          come: days.map(text),
          from: text(at),
        },
      },
    ]);
    expect(lines).toMatchObject([{ level: "warn", timezone: kolkata, former: "2026a", tzdata: "2026c", schedules: 2, moved: 1 }]);
    const after = await dueRows();
    expect(after.get(moving)).toEqual({ at, lookedAt: at });
    for (const id of [realTime, elsewhere, interval]) expect(after.get(id)).toEqual(before.get(id));
    const noted = await database.admin`select id from downbeat.schedules where tzdata = '2026c'`;
    expect(new Set(noted.map(({ id }) => id))).toEqual(new Set([moving, realTime]));

    // The same version again: nothing more to tell.
    expect(await watch()).toBeNull();
    expect((await zones()).map(({ tzdata }) => tzdata)).toEqual(["2026c", "2026c"]);
  });

  test("leaves alone what was claimed, and does not fire its slot again: the new instant of a slot that had its run is skipped", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    // By the former version today's slot was due half an hour ago and had its run; really it is due in half an hour. The watermark stands at tomorrow's.
    const id = await schedule(daily(30), now - 30 * minuteMs + dayMs);
    await watch();
    expect((await dueRows()).get(id)?.at).toBe(now + 30 * minuteMs + dayMs);
  });

  test("does not touch a watermark that a claim or an edit has moved meanwhile", async () => {
    const id = await schedule(daily(180), now + 120 * minuteMs);
    const next = { scheduledFor: now + 180 * minuteMs, nextRunAt: now + 180 * minuteMs };
    await sql.begin((transaction) =>
      moveSchedules(
        transaction,
        [{ tenantId: endpoint.tenantId, scheduleId: id, watermark: now + 60 * minuteMs, next, detail: null }],
        "2026c",
      ),
    );
    expect((await dueRows()).get(id)?.at).toBe(now + 120 * minuteMs);
  });

  test("leaves a schedule that is put off, or paused until some time, to be looked at when it would have been", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    const putOff = await schedule(daily(60), now);
    const paused = await schedule(daily(60), now, { paused_at: text(now - hourMs), paused_until: text(now + 10 * minuteMs) });
    const later = text(now + 90 * minuteMs);
    await database.admin`update downbeat.schedule_due set scheduled_for = next_run_at, next_run_at = ${later} where schedule_id = ${putOff}`;
    await database.admin`update downbeat.schedule_due set scheduled_for = next_run_at, next_run_at = ${text(now + 10 * minuteMs)} where schedule_id = ${paused}`;
    await watch();
    const rows = await dueRows();
    expect(rows.get(putOff)).toEqual({ at: now + hourMs, lookedAt: now + 90 * minuteMs });
    expect(rows.get(paused)).toEqual({ at: now + hourMs, lookedAt: now + 10 * minuteMs });
  });

  test("keeps the offset of a spread schedule", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    const id = await schedule(daily(180), now + 120 * minuteMs, { spread_seconds: 600 });
    const spread = 123_000;
    await database.admin`update downbeat.schedule_due set scheduled_for = next_run_at, next_run_at = ${text(now + 120 * minuteMs + spread)}`;
    await watch();
    const row = (await dueRows()).get(id);
    expect(row?.at).toBe(now + 180 * minuteMs);
    expect((row?.lookedAt ?? 0) - (row?.at ?? 0)).toBeGreaterThanOrEqual(0);
    expect((row?.lookedAt ?? 0) - (row?.at ?? 0)).toBeLessThan(600_000);
  });

  test("moves an interval whose calendar is in the changed zone", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    const [calendar] = await database.admin<{ id: string }[]>`
      insert into downbeat.calendars (name, kind, timezone, entries) values ('office', 'allow', ${kolkata}, '["MON,TUE,WED,THU,FRI,SAT,SUN 09:00-17:00"]') returning id`;
    const id = await schedule({ kind: "interval", intervalSeconds: 1_800, anchorAt: 0 }, now + dayMs, {
      calendar_ids: [calendar?.id ?? ""],
    });
    expect(await watch()).toMatchObject({ schedules: 1, moved: 1 });
    expect(await events()).toMatchObject([{ id, detail: { timezones: [kolkata] } }]);
  });

  test("that no longer has a zone is told once; its schedules are the claim's to pause", async () => {
    await recordFormer([{ timezone: "Mars/Olympus", offsetMs: 0 }]);
    await schedule({ kind: "cron", cronExpression: "0 9 * * *", timezone: "Mars/Olympus" }, now + hourMs);
    const { log, lines } = captureLog();
    expect(await watch({ log })).toMatchObject({ moved: 0, isFinished: true });
    expect(lines).toMatchObject([{ level: "warn", timezone: "Mars/Olympus", tzdata: "2026c" }]);
    await database.admin`update downbeat.system_state set value = value || '{"startedAt": 0}'`;
    const again = captureLog();
    expect(await watch({ log: again.log })).not.toBeNull();
    expect(again.lines).toEqual([]);
  });

  test("is no difference between rule and ledger: what was recorded before was decided with the former one", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    const id = await schedule(daily(-120), now - 180 * minuteMs + dayMs);
    // Today's run, at the instant that the former version gave it.
    const ranAt = text(now - 180 * minuteMs);
    await database.admin`insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, state, due_at)
      values (${endpoint.tenantId}, downbeat.first_run_id(${ranAt}), ${id}, 1, ${ranAt}, 'succeeded', ${ranAt})`;
    const audit = () =>
      auditLedger({
        sql,
        clock: new ManualClock(now),
        log: captureLog().log,
        dispatcher: "d1",
        signal: new AbortController().signal,
        everyMs: 0,
        windowMs: 20 * hourMs,
      });
    expect(await audit()).toMatchObject({ lost: 1, unexpected: 1 });
    await watch();
    expect(await audit()).toMatchObject({ lost: 0, unexpected: 0 });
  });
});

describe("dispatchers take turns", () => {
  test("of several at once, one compares", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    await schedule(daily(180), now + 120 * minuteMs);
    const dispatchers = ["d1", "d2", "d3"].map((dispatcher) => watch({ dispatcher, sql: database.connectAs("downbeat_dispatcher", 1) }));
    expect((await Promise.all(dispatchers)).filter((counts) => counts !== null)).toHaveLength(1);
    expect(await events()).toHaveLength(1);
  });

  test("a comparison that was left in the middle goes on where it stopped: each schedule is told of once, the zone with the sum of all", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    for (let count = 0; count < 3; count += 1) await schedule(daily(180), now + 120 * minuteMs);
    expect(await watch({ dispatcher: "d1", schedulesMax: 1 })).toEqual({ schedules: 1, moved: 1, isFinished: false });
    expect(await watch({ dispatcher: "d2", schedulesMax: 1 })).toBeNull();
    await leaveTurns(sql, "d1");
    // The former version is still known.
    expect(await zones()).toMatchObject([{ tzdata: "2026a" }]);
    const { log, lines } = captureLog();
    expect(await watch({ dispatcher: "d2", log })).toEqual({ schedules: 2, moved: 2, isFinished: true });
    expect(await events()).toHaveLength(3);
    expect(lines).toMatchObject([{ level: "warn", timezone: kolkata, schedules: 3, moved: 3 }]);
  });

  test("while a new version is rolled out, dispatchers of the old one stand back; an hour later they are taken for a way back", async () => {
    await recordFormer([{ timezone: kolkata, offsetMs: kolkataMs + hourMs }]);
    await schedule(daily(180), now + 120 * minuteMs);
    expect(await watch({ version: "2026c" })).toMatchObject({ moved: 1 });
    expect(await watch({ version: "2026b" })).toBeNull();
    await database.admin`update downbeat.system_state set value = value || jsonb_build_object('startedAt', ${now - 2 * hourMs}::float8)`;
    expect(await watch({ version: "2026b" })).toMatchObject({ isFinished: true });
    expect(await zones()).toMatchObject([{ tzdata: "2026b" }]);
  });

  test("a process that does not know its version compares nothing", async () => {
    expect(await watch({ version: null })).toBeNull();
    expect(await zones()).toEqual([]);
  });
});
