import { randomUUID } from "node:crypto";
import { claimDue } from "@downbeat/dispatcher/claim-due.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let dispatcher: Sql;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  dispatcher = api.database.connectAs("downbeat_dispatcher");
});
afterAll(() => api.close());

async function create(fields: object): Promise<Answer["body"]> {
  const body = { name: `s-${randomUUID().slice(0, 18)}`, endpoint: "shop", ...fields };
  const answer = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
  expect([answer.status, answer.text]).toEqual([201, answer.text]);
  return answer.body;
}

const patch = (id: string, body: object, headers: Record<string, string> = {}) =>
  api.call("PATCH", `/api/v1/schedules/${id}`, { key: acme.key, body, headers });
const dryRun = (id: string, body: object) => api.call("PATCH", `/api/v1/schedules/${id}?dry_run=true`, { key: acme.key, body });
const act = (id: string, action: string, body: object = {}) =>
  api.call("POST", `/api/v1/schedules/${id}/${action}`, { key: acme.key, body });

async function claimAll(horizonMs = 75_000): Promise<void> {
  const { log } = captureLog();
  while ((await claimDue({ sql: dispatcher, log, horizonMs, batchSize: 1_000, publishTimeoutMs: 10_000 })).hasMore);
}

const runsOf = (id: string) =>
  api.admin<{ at: Date; state: string; reason: string | null; count: number | null; revision: number; isDue: boolean }[]>`
    select scheduled_for as at, state, reason, range_count as count, schedule_revision as revision, due_at <= now() as "isDue"
    from downbeat.runs where schedule_id = ${id} order by scheduled_for`;
const eventsOf = async (id: string) => {
  const rows = await api.admin<{ event: string; detail: Record<string, unknown> }[]>`
    select event, detail from downbeat.schedule_events where schedule_id = ${id} order by id`;
  return [...rows];
};

describe("changing a schedule", () => {
  it("changes what is given and nothing else, counts the revision and journals what was and is", async () => {
    const schedule = await create({
      cron_expression: "0 9 * * *",
      timezone: "Europe/Berlin",
      spread: "15m",
      grace_seconds: 60,
      input: { a: 1 },
    });
    const { status, body, headers } = await patch(schedule.id, { cron_expression: "30 10 * * MON-FRI", overlap: "queue_one" });
    expect([status, headers.get("etag"), body.revision]).toEqual([200, '"2"', 2]);
    const kept = { timezone: "Europe/Berlin", spread: "15m", grace_seconds: 60, input: { a: 1 }, name: schedule.name };
    expect(body).toMatchObject({ ...kept, cron_expression: "30 10 * * MON-FRI", overlap: "queue_one", impact: { withdrawn: 0 } });
    expect(body.impact.added).toBe(body.impact.runs_after);
    const [, updated] = await eventsOf(schedule.id);
    expect(updated).toEqual({
      event: "updated",
      detail: {
        before: { cron_expression: "0 9 * * *", overlap: "skip" },
        after: { cron_expression: "30 10 * * MON-FRI", overlap: "queue_one" },
      },
    });
  });

  it("a field of another kind makes it a schedule of that kind, and leaves the old kind's fields behind", async () => {
    const schedule = await create({ frequency: "dailyAt('13:00')", timezone: "Europe/Berlin", dst_gap: "skip" });
    expect(schedule).toMatchObject({ kind: "cron", frequency: "dailyAt('13:00')", cron_expression: "0 13 * * *" });
    const { body } = await patch(schedule.id, { interval_seconds: 7_200 });
    expect(body).toMatchObject({
      kind: "interval",
      interval_seconds: 7_200,
      cron_expression: null,
      frequency: null,
      timezone: null,
      dst_gap: null,
    });
    const back = await patch(schedule.id, { cron_expression: "0 1 * * *" });
    expect(back.body).toMatchObject({
      kind: "cron",
      cron_expression: "0 1 * * *",
      frequency: null,
      interval_seconds: null,
      anchor_at: null,
    });
  });

  it("null takes an optional field away", async () => {
    const schedule = await create({ interval_seconds: 60, max_runs: 5, max_failures: 3, spread: "50%", ends_at: "2090-01-01T00:00:00Z" });
    const { body } = await patch(schedule.id, { max_runs: null, max_failures: null, spread: null, ends_at: null, grace_seconds: null });
    expect(body).toMatchObject({ max_runs: null, max_failures: null, spread: null, ends_at: null, grace_seconds: null });
  });

  it("refuses what somebody else has changed meanwhile, and changes nothing", async () => {
    const schedule = await create({ interval_seconds: 3_600 });
    await patch(schedule.id, { interval_seconds: 7_200 });
    const late = await patch(schedule.id, { interval_seconds: 60 }, { "if-match": '"1"' });
    expect([late.status, late.body.code]).toEqual([412, "revision_changed"]);
    const { body } = await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect([body.interval_seconds, body.revision]).toEqual([7_200, 2]);
    expect((await patch(schedule.id, { max_failures: 4 }, { "if-match": '"2"' })).status).toBe(200);
    const malformed = await patch(schedule.id, {}, { "if-match": "2" });
    expect([malformed.status, malformed.body.errors[0].field]).toEqual([400, "if-match"]);
  });

  it("says everything that is wrong with a change and writes none of it", async () => {
    const schedule = await create({ cron_expression: "0 9 * * *" });
    const { status, body } = await patch(schedule.id, {
      cron_expression: "60 * * * *",
      timezone: "America/NewYork",
      dst_gap: "move",
      spread: "2d",
      calendars: ["holidays"],
      endpoint: "nowhere",
    });
    expect(status).toBe(422);
    expect(body.errors.map(({ field }: { field: string }) => field).sort()).toEqual(
      ["calendars.0", "cron_expression", "dst_gap", "endpoint", "spread", "timezone"].sort(),
    );
    expect(body.detail).toContain('did you mean "America/New_York"?');
    expect((await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key })).body).toMatchObject({
      revision: 1,
      cron_expression: "0 9 * * *",
    });
  });

  it("asks before a schedule runs ten times as often, and does it when told that it is meant", async () => {
    const schedule = await create({ cron_expression: "0 9 * * *" });
    const asked = await patch(schedule.id, { cron_expression: "* * * * *" });
    expect([asked.status, asked.body.code, asked.body.errors[0].field]).toEqual([409, "confirmation_needed", "confirm"]);
    expect(asked.body.detail).toMatch(/1440 times as often, 43200 times in 30 days where it was 30/);
    const { body } = await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect(body).toMatchObject({ revision: 1, cron_expression: "0 9 * * *" });
    expect((await patch(schedule.id, { cron_expression: "* * * * *", confirm: true })).body.revision).toBe(2);
  });

  it("withdraws what was claimed ahead, and an occurrence that both rules have keeps its run", async () => {
    const schedule = await create({ interval_seconds: 10 });
    await claimAll();
    const before = await runsOf(schedule.id);
    expect(before.map(({ state }) => state)).toEqual(before.map(() => "pending"));
    const { body } = await patch(schedule.id, { interval_seconds: 20 });
    expect(body.impact.withdrawn).toBe(before.length);
    expect((await runsOf(schedule.id)).map(({ state, reason }) => [state, reason])).toEqual(
      before.map(() => ["canceled", "schedule_changed"]),
    );
    await claimAll();
    const after = await runsOf(schedule.id);
    // Every second instant of the old rule is one of the new.
    expect(after.map(({ state }) => state)).toEqual(before.map((_, index) => (index % 2 === 0 ? "canceled" : "pending")));
    expect(after.filter(({ state }) => state === "pending").map(({ revision }) => revision)).toEqual(
      after.filter(({ state }) => state === "pending").map(() => 2),
    );
  });

  it("leaves a slot alone that fell due before it and that no dispatcher had claimed: it runs under the old rule", async () => {
    const schedule = await create({ interval_seconds: 3_600 });
    await api.admin`update downbeat.schedule_due set next_run_at = now() - interval '10 seconds' where schedule_id = ${schedule.id}`;
    await patch(schedule.id, { interval_seconds: 7_200 });
    const runs = await runsOf(schedule.id);
    expect(runs).toMatchObject([{ state: "pending", revision: 1, isDue: true }]);
  });

  it("keeps a paused schedule paused, under its new rule", async () => {
    const schedule = await create({ interval_seconds: 60 });
    await act(schedule.id, "pause", { reason: "moving" });
    const { body } = await patch(schedule.id, { interval_seconds: 90 });
    expect(body).toMatchObject({ state: "paused", pause_reason: "moving", interval_seconds: 90, next_run_at: null });
    expect(await api.admin`select from downbeat.schedule_due where schedule_id = ${schedule.id}`).toHaveLength(0);
    expect((await act(schedule.id, "resume")).body.state).toBe("active");
  });
});

describe("asking what a change would do", () => {
  it("answers the runs added and removed over 30 days, and writes nothing", async () => {
    const schedule = await create({ cron_expression: "0 9 * * *" });
    const { status, body } = await dryRun(schedule.id, { cron_expression: "0 9,15 * * *" });
    expect(status).toBe(200);
    expect(body.impact).toMatchObject({
      runs_before: 30,
      runs_after: 60,
      added: 30,
      removed: 0,
      first_removed: [],
      queue_requests_max: 18,
    });
    expect(body.impact.first_added).toHaveLength(5);
    const unchanged = await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect(unchanged.body).toMatchObject({ revision: 1, cron_expression: "0 9 * * *" });
    expect(await eventsOf(schedule.id)).toHaveLength(1);
  });

  it("also of a schedule that does not exist yet", async () => {
    const name = `dry-${randomUUID().slice(0, 8)}`;
    const body = { name, cron_expression: "*/5 * * * *", endpoint: "shop" };
    const answer = await api.call("POST", "/api/v1/schedules?dry_run=true", { key: acme.key, body });
    expect(answer.status).toBe(200);
    expect(answer.body.impact).toMatchObject({ runs_before: 0, runs_after: 8_640, added: 8_640 });
    expect((await api.call("GET", `/api/v1/schedules/${name}`, { key: acme.key })).status).toBe(404);
  });

  it("refuses what the change itself would be refused for", async () => {
    const schedule = await create({ cron_expression: "0 9 * * *" });
    const { status, body } = await dryRun(schedule.id, { cron_expression: "0 0 30 2 *" });
    expect([status, body.errors[0].field]).toEqual([422, "cron_expression"]);
  });
});

describe("a pause", () => {
  /** As if the schedule had been paused so long ago, with nothing of it claimed. */
  async function pausedMinutesAgo(fields: object, minutes: number): Promise<Answer["body"]> {
    const schedule = await create({ interval_seconds: 60, ...fields });
    await act(schedule.id, "pause");
    await api.admin`
      update downbeat.schedules set paused_at = paused_at - ${minutes}::int * interval '1 minute', anchor_at = anchor_at - interval '1 day' where id = ${schedule.id}`;
    return schedule;
  }

  it("that was long leaves one skipped stretch, which counts every occurrence that fell into it", async () => {
    const schedule = await pausedMinutesAgo({}, 30);
    const { body } = await act(schedule.id, "resume");
    expect(body.resume).toEqual({ skipped: 30, replayed: 0 });
    expect(await runsOf(schedule.id)).toMatchObject([{ state: "skipped", reason: "paused", count: 30 }]);
  });

  it.for([
    ["latest", { skipped: 29, replayed: 1 }],
    ["all", { skipped: 0, replayed: 30 }],
  ] as const)("is made up for as on_resume %s says, due at once", async ([policy, effect]) => {
    const schedule = await pausedMinutesAgo({ on_resume: policy }, 30);
    expect((await act(schedule.id, "resume")).body.resume).toEqual(effect);
    const runs = await runsOf(schedule.id);
    expect(runs.filter(({ state }) => state === "pending").map(({ isDue }) => isDue)).toEqual(
      Array.from({ length: effect.replayed }, () => true),
    );
    expect(runs.filter(({ state }) => state === "skipped").reduce((sum, { count }) => sum + (count ?? 0), 0)).toBe(effect.skipped);
  });

  it("says beforehand what it will cost, where its end is known", async () => {
    const schedule = await create({ interval_seconds: 60, on_resume: "latest" });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const { body } = await act(schedule.id, "pause", { until });
    expect(body).toMatchObject({ state: "paused", paused_until: until });
    expect(body.pause).toMatchObject({ until, on_resume: "latest", replayed: 1, per_day: 1_440 });
    expect(body.pause.occurrences - body.pause.skipped).toBe(1);
    expect([59, 60]).toContain(body.pause.occurrences);
  });

  it("with an end is over by itself: the claim records what fell into it and goes on", async () => {
    const schedule = await create({ interval_seconds: 60 });
    await act(schedule.id, "pause", { until: new Date(Date.now() + 3_600_000).toISOString() });
    await api.admin`
      update downbeat.schedules set paused_at = now() - interval '40 minutes', paused_until = now() - interval '10 seconds', anchor_at = anchor_at - interval '1 day'
      where id = ${schedule.id}`;
    await api.admin`
      update downbeat.schedule_due set next_run_at = now() - interval '10 seconds', scheduled_for = scheduled_for - interval '40 minutes' where schedule_id = ${schedule.id}`;
    await claimAll();
    // From 39 minutes ago to one minute ago; the one of just now is after the pause.
    const { body } = await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect(body).toMatchObject({ state: "active", paused_until: null, pause_reason: null });
    const runs = await runsOf(schedule.id);
    expect(runs[0]).toMatchObject({ state: "skipped", reason: "paused", count: 39 });
    expect(runs.slice(1).map(({ state }) => state)).toEqual(runs.slice(1).map(() => "pending"));
    expect((await eventsOf(schedule.id)).map(({ event }) => event)).toEqual(["created", "paused", "resumed"]);
  });

  it("cannot end in the past", async () => {
    const schedule = await create({ interval_seconds: 60 });
    const { status, body } = await act(schedule.id, "pause", { until: "2020-01-01T00:00:00Z" });
    expect([status, body.errors[0].field]).toEqual([422, "until"]);
    expect(body.detail).toMatch(/in the past/);
  });
});

describe("the fields of time", () => {
  it.for([
    ["*/0", { cron_expression: "*/0 * * * *" }, "cron_expression", /Did you mean "\* \* \* \* \*"/],
    ["minute 60", { cron_expression: "60 * * * *" }, "cron_expression", /0–59.*Did you mean "0 \* \* \* \*"/],
    ["a nickname", { cron_expression: "@dayly" }, "cron_expression", /"@daily"/],
    ["a time of day", { cron_expression: "24:00" }, "cron_expression", /0 0 \* \* \*/],
    ["February 30th", { cron_expression: "0 0 30 2 *" }, "cron_expression", /never fires: month 2 has no day 30/],
    ["a zone", { cron_expression: "0 9 * * *", timezone: "America/NewYork" }, "timezone", /did you mean "America\/New_York"/],
    ["a preset", { frequency: "everyFiveMinute" }, "frequency", /everyFiveMinutes/],
    ["both preset and expression", { frequency: "daily", cron_expression: "0 0 * * *" }, "frequency", /contradict/],
    ["a gap policy", { cron_expression: "0 9 * * *", dst_gap: "shfit" }, "dst_gap", /did you mean "shift"/],
    ["an overlap policy of clocks", { cron_expression: "0 9 * * *", dst_overlap: "none" }, "dst_overlap", /"first", "last" or "both"/],
    ["an interval", { interval_seconds: 0 }, "interval_seconds", /whole number of seconds/],
    ["a spread", { interval_seconds: 60, spread: "150%" }, "spread", /at most 100%/],
    ["a local time without a zone", { run_at: "2090-03-08T02:30:00" }, "run_at", /give timezone/],
    [
      "an end before the start",
      { interval_seconds: 60, starts_at: "2090-01-02T00:00:00Z", ends_at: "2090-01-01T00:00:00Z" },
      "ends_at",
      /before starts_at/,
    ],
    ["an overlap policy", { interval_seconds: 60, overlap: "parallel" }, "overlap", /"cancel_previous"/],
    ["a misfire policy", { interval_seconds: 60, misfire: "now" }, "misfire", /"latest"/],
    ["instances", { interval_seconds: 60, max_instances: 0 }, "max_instances", /1/],
    ["grace", { interval_seconds: 60, grace_seconds: -1 }, "grace_seconds", /null means no limit/],
    ["a limit of runs", { interval_seconds: 60, max_runs: 0 }, "max_runs", /1/],
    ["a limit of failures", { interval_seconds: 60, max_failures: 1.5 }, "max_failures", /int|whole/],
    ["a calendar", { interval_seconds: 60, calendars: ["nope"] }, "calendars.0", /calendar of this tenant/],
  ] as const)("refuse %s, naming field, value and what would be right", async ([, fields, field, message]) => {
    const body = { name: `bad-${randomUUID().slice(0, 8)}`, endpoint: "shop", ...fields };
    const answer = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
    expect([400, 422]).toContain(answer.status);
    const error = answer.body.errors.find((one: { field: string }) => one.field === field);
    expect(error?.message).toMatch(message);
    expect(error).toHaveProperty("value");
    expect((await api.call("GET", `/api/v1/schedules/${body.name}`, { key: acme.key })).status).toBe(404);
    // The question before creating says the same.
    const { name: _name, endpoint: _endpoint, ...rule } = body;
    const asked = await api.call("POST", "/api/v1/schedules/validate", { key: acme.key, body: rule });
    expect(asked.body).toMatchObject({ valid: false, errors: answer.body.errors.map((one: { field: string }) => ({ field: one.field })) });
  });

  it("are answered as they were given, with what a preset means and what clock changes will do", async () => {
    const schedule = await create({ frequency: "daily", timezone: "America/New_York", dst_gap: "shift", dst_overlap: "last" });
    expect(schedule).toMatchObject({
      frequency: "daily",
      cron_expression: "0 2 * * *",
      dst_gap: "shift",
      dst_overlap: "last",
      tzdata: process.versions.tz,
    });
    const [warning] = schedule.warnings;
    expect(warning).toMatchObject({
      kind: "gap",
      slots: [{ local: expect.stringMatching(/T02:00:00$/), runs_at: [expect.stringMatching(/T07:00:00.000Z$/)] }],
    });
  });

  it("say what a tenant's key may not ask for: its shortest interval, of patterns too", async () => {
    await api.admin`update downbeat.tenants set interval_seconds_min = 60 where id = ${acme.id}`;
    try {
      for (const [fields, field] of [
        [{ interval_seconds: 59 }, "interval_seconds"],
        [{ cron_expression: "*/30 * * * * *" }, "cron_expression"],
        [{ frequency: "everySecond()" }, "frequency"],
      ] as const) {
        const body = { name: "too-often", endpoint: "shop", ...fields };
        const answer = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
        expect([answer.status, answer.body.errors[0].field]).toEqual([422, field]);
        const byAdmin = await api.call("POST", "/api/v1/schedules?dry_run=true", { key: api.adminKey, tenant: "acme", body });
        expect(byAdmin.status).toBe(200);
      }
      expect((await create({ cron_expression: "* * * * *" })).state).toBe("active");
    } finally {
      await api.admin`update downbeat.tenants set interval_seconds_min = null where id = ${acme.id}`;
    }
  });

  it("take the installation's grace where a schedule names none", async () => {
    expect((await create({ interval_seconds: 60 })).grace_seconds).toBe(86_400);
    expect((await create({ interval_seconds: 60, grace_seconds: null })).grace_seconds).toBeNull();
    const another = await startTestApi({ SCHEDULE_GRACE_PERIOD_MINUTES: 15 });
    try {
      const { key } = await another.addTenant("acme");
      const body = { name: "quarter", interval_seconds: 60, endpoint: "shop" };
      expect((await another.call("POST", "/api/v1/schedules", { key, body })).body.grace_seconds).toBe(900);
    } finally {
      await another.close();
    }
  });
});

describe("a preview", () => {
  it("shows what is to come in both clocks, what clock changes do, and what became of the last runs", async () => {
    const schedule = await create({ cron_expression: "30 2 * * *", timezone: "America/New_York", dst_gap: "skip" });
    const { status, body } = await api.call("GET", `/api/v1/schedules/${schedule.id}/preview?from=2027-03-13T00:00:00Z&count=3`, {
      key: acme.key,
    });
    expect(status).toBe(200);
    expect(body.occurrences.map(({ at, local }: { at: string; local: string }) => [at, local])).toEqual([
      ["2027-03-13T07:30:00.000Z", "2027-03-13T02:30:00-05:00"],
      ["2027-03-15T06:30:00.000Z", "2027-03-15T02:30:00-04:00"],
      ["2027-03-16T06:30:00.000Z", "2027-03-16T02:30:00-04:00"],
    ]);
    expect(body.holes).toMatchObject([{ reason: "dst_gap", at: "2027-03-14T07:00:00.000Z" }]);
    expect(body.previous).toEqual([]);
  });

  it("is also there for a rule that is not stored", async () => {
    const body = { interval_seconds: 90, anchor_at: "2030-01-01T00:00:00Z" };
    const answer = await api.call("POST", "/api/v1/schedules/preview?from=2030-01-01T00:01:30Z&count=2", { key: acme.key, body });
    expect(answer.body.occurrences.map(({ at }: { at: string }) => at)).toEqual(["2030-01-01T00:01:30.000Z", "2030-01-01T00:03:00.000Z"]);
  });
});
