import { randomUUID } from "node:crypto";
import { runId } from "@downbeat/store/run-id.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
});
afterAll(() => api.close());

const hourMs = 3_600_000;
/** A full hour, a day ago. */
const dayAgo = Math.floor(Date.now() / hourMs) * hourMs - 24 * hourMs;
const text = (instant: number) => new Date(instant).toISOString();
const from = text(dayAgo);
const to = text(dayAgo + 10 * hourMs);

let schedule: { id: string; name: string };
beforeEach(async () => {
  schedule = await addSchedule({ cron_expression: "0 * * * *" });
});

async function addSchedule(rule: Record<string, unknown>) {
  const body = { name: `hourly-${randomUUID().slice(0, 13)}`, endpoint: "shop", ...rule };
  return (await api.call("POST", "/api/v1/schedules", { key: acme.key, body })).body;
}

const ask = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  api.call("POST", `/api/v1/schedules/${schedule.id}/backfills`, { key: acme.key, body, headers });
const act = (id: string, action: string) => api.call("POST", `/api/v1/backfills/${id}/${action}`, { key: acme.key });
const show = async (id: string) => (await api.call("GET", `/api/v1/backfills/${id}`, { key: acme.key })).body;

/** A run of an occurrence, `hour` hours after `from`. */
async function arrangeRun(
  hour: number,
  state: string,
  triggerId = "",
  times: { startedAt?: Date; finishedAt?: Date } = {},
): Promise<string> {
  const at = dayAgo + hour * hourMs;
  const id = runId(schedule.id, at, triggerId);
  const { startedAt = null, finishedAt = null } = times;
  await api.admin`select downbeat.ensure_run_partitions(${new Date(at)}, ${new Date(at)})`;
  await api.admin`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, trigger_id, due_at, state, started_at, finished_at, sweep_at)
    values (${acme.id}, ${id}, ${schedule.id}, 1, ${new Date(at)}, ${triggerId}, ${new Date(at)}, ${state}, ${startedAt}, ${finishedAt},
      ${state === "succeeded" || state === "failed" ? null : new Date()})`;
  return id;
}

describe("planning a backfill", () => {
  it("answers what would run, and writes nothing", async () => {
    const finishedAt = new Date();
    await arrangeRun(2, "succeeded", "", { startedAt: new Date(finishedAt.getTime() - 1_850), finishedAt });
    await arrangeRun(3, "running");
    await arrangeRun(4, "failed");
    await arrangeRun(5, "succeeded", "by-hand");
    const { status, body } = await ask({ from, to, concurrency: 4, dry_run: true });
    const hours = [1, 4, 5, 6, 7, 8, 9, 10].map((hour) => text(dayAgo + hour * hourMs));
    expect([status, body]).toEqual([
      200,
      {
        from,
        to,
        concurrency: 4,
        occurrences: 10,
        left_out: { succeeded: 1, under_way: 1 },
        planned: 8,
        first: hours,
        last: [],
        estimate: { mean_run_ms: 1_850, runs_per_minute: 120, seconds: 4 },
      },
    ]);
    expect((await api.call("GET", `/api/v1/schedules/${schedule.id}/backfills`, { key: acme.key })).body.items).toEqual([]);
  });

  it("ends now when it is not told where, and leaves to the schedule what it has yet to claim", async () => {
    const { body: whole } = await ask({ from, dry_run: true });
    expect([whole.planned, Date.parse(whole.to) <= Date.now()]).toEqual([Math.floor((Date.parse(whole.to) - dayAgo) / hourMs), true]);
    // No dispatcher has been there for three hours: its own claim will decide about them.
    await api.admin`update downbeat.schedule_due set next_run_at = ${new Date(dayAgo + 22 * hourMs)} where schedule_id = ${schedule.id}`;
    const { body } = await ask({ from, to: text(dayAgo + 24 * hourMs), dry_run: true });
    expect([body.planned, body.left_out]).toEqual([21, { succeeded: 0, under_way: 3 }]);
    const { body: backfill } = await ask({ from, to: text(dayAgo + 24 * hourMs) });
    expect([backfill.planned, Date.parse(backfill.to)]).toEqual([21, dayAgo + 22 * hourMs - 1]);
  });

  it("of a paused schedule includes what fell into the pause; of a deleted one there is none", async () => {
    await api.call("POST", `/api/v1/schedules/${schedule.id}/pause`, { key: acme.key });
    expect((await ask({ from, to, dry_run: true })).body.planned).toBe(10);
    await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    expect((await ask({ from, to })).status).toBe(404);
  });

  it("uses the schedule's calendars", async () => {
    const name = `closed-${randomUUID()}`;
    const entries = api.admin.json([`${from.slice(0, 10)}/${to.slice(0, 10)}`]);
    const [calendar] = await api.admin<{ id: string }[]>`
      insert into downbeat.calendars (tenant_id, name, kind, entries) values (${acme.id}, ${name}, 'blackout', ${entries}) returning id`;
    await api.admin`update downbeat.schedules set calendar_ids = array[${calendar?.id ?? ""}::uuid] where id = ${schedule.id}`;
    expect((await ask({ from, to, dry_run: true })).body.occurrences).toBe(0);
    const { body } = await ask({ from: text(dayAgo - 48 * hourMs), to });
    const kept = await api.admin`select rule -> 'calendars' -> 0 ->> 'name' as name from downbeat.backfills where id = ${body.id}`;
    expect(kept).toMatchObject([{ name }]);
  });

  it.for([
    ["a `from` without an offset", { from: "2026-03-01T00:00:00" }, 422, "from", "must be a date and time with an offset"],
    ["no `from`", {}, 400, "from", "is missing"],
    ["a `to` in the future", { from, to: text(Date.now() + hourMs) }, 422, "to", "is in the future; it must not be later than now, 2"],
    ["a stretch that ends before it begins", { from: to, to: from }, 422, "from", `it must be earlier than to, ${from}`],
    ["an empty stretch", { from, to: from }, 422, "from", "does not begin a stretch of the past"],
    ["a concurrency beyond the limit", { from, to, concurrency: 101 }, 422, "concurrency", "must be a whole number from 1 to 100"],
    ["a field that nobody knows", { from, until: to }, 400, "until", "is not a field that this route knows"],
  ] as const)("refuses %s by name", async ([, body, status, field, message]) => {
    const { status: answered, body: problem } = await ask(body);
    expect([answered, problem.errors[0].field]).toEqual([status, field]);
    expect(problem.errors[0].message).toContain(message);
  });

  it("refuses more occurrences than one backfill may have with how many there are, and the first of several is accepted", async () => {
    schedule = await addSchedule({ cron_expression: "* * * * *" });
    const longAgo = text(dayAgo - 100 * 24 * hourMs);
    const { status, body } = await ask({ from: longAgo, to });
    expect([status, body.code]).toEqual([422, "invalid_value"]);
    const [, upTo = ""] =
      /144,600 occurrences, and one backfill may have at most 100,000; .* up to (\S+)$/.exec(body.errors[0].message) ?? [];
    expect((await ask({ from: longAgo, to: upTo, dry_run: true })).body.planned).toBe(100_000);
  });

  it("a rule that can no longer be evaluated is 409 and says why", async () => {
    await api.admin`update downbeat.schedules set timezone = 'Mars/Olympus' where id = ${schedule.id}`;
    const { status, body } = await ask({ from, to });
    expect([status, body.code]).toEqual([409, "unusable_rule"]);
    expect(body.detail).toContain("timezone");
  });
});

describe("making a backfill", () => {
  it("answers it with its plan, tells the schedule's journal, and stands before its first occurrence", async () => {
    const { status, body, headers } = await ask({ from, to, concurrency: 5 });
    expect([status, headers.get("location")]).toEqual([201, `/api/v1/backfills/${body.id}`]);
    expect(body).toMatchObject({
      tenant: { id: acme.id, slug: "acme" },
      schedule: { id: schedule.id, name: schedule.name },
      from,
      to,
      state: "running",
      concurrency: 5,
      planned: 10,
      fed: 0,
      running: 0,
      succeeded: 0,
      failed: 0,
      canceled: 0,
      next_at: text(dayAgo + hourMs),
      finished_at: null,
      plan: { planned: 10 },
    });
    const { plan: _plan, ...shown } = body;
    expect(await show(body.id)).toEqual(shown);
    const events = await api.admin`
      select actor, reason, detail from downbeat.schedule_events where schedule_id = ${schedule.id} and event = 'backfill'`;
    expect(events).toEqual([
      { actor: body.created_by, reason: "requested", detail: { backfill: body.id, from, to, planned: 10, concurrency: 5 } },
    ]);
  });

  it("with nothing left to run is completed at once", async () => {
    for (let hour = 1; hour <= 10; hour += 1) await arrangeRun(hour, "succeeded");
    const { status, body } = await ask({ from, to });
    expect([status, body.state, body.planned, body.plan.left_out.succeeded]).toEqual([201, "completed", 0, 10]);
    expect(body.finished_at).toBe(body.created_at);
  });

  it("over a stretch of one that is running or paused is 409 and names it; beside it, or after it was canceled, is right", async () => {
    const { body: first } = await ask({ from, to });
    for (const state of ["running", "paused"]) {
      if (state === "paused") await act(first.id, "pause");
      for (const dry_run of [false, true]) {
        const { status, body } = await ask({ from: text(dayAgo + 9 * hourMs), to: text(dayAgo + 12 * hourMs), dry_run });
        expect([status, body.code]).toEqual([409, "backfill_overlaps"]);
        expect(body.detail).toContain(first.id);
      }
    }
    expect((await ask({ from: to, to: text(dayAgo + 12 * hourMs) })).status).toBe(201);
    await act(first.id, "cancel");
    expect((await ask({ from, to })).status).toBe(201);
  });

  it("asked for many times at once is made once, and the others are told of it", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask({ from, to })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  });

  it("with an idempotency key is made once, and repeats answer it, also when it has ended", async () => {
    const headers = { "idempotency-key": "repair-4711" };
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask({ from, to }, headers)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect(answers.filter(({ body }) => body.plan === null)).toHaveLength(3);
    const id = answers[0]?.body.id;
    await act(id, "cancel");
    const repeated = await ask({ from, to }, headers);
    expect([repeated.body.id, repeated.body.state, repeated.headers.get("idempotent-replayed")]).toEqual([id, "canceled", "true"]);
    schedule = await addSchedule({ cron_expression: "0 * * * *" });
    expect((await ask({ from, to }, headers)).body.id).not.toBe(id);
  });

  it("needs a key that may write", async () => {
    await api.admin`update downbeat.api_keys set scope = 'read' where tenant_id = ${globex.id}`;
    const { status } = await api.call("POST", `/api/v1/schedules/${schedule.id}/backfills`, { key: globex.key, body: { from, to } });
    await api.admin`update downbeat.api_keys set scope = 'tenant' where tenant_id = ${globex.id}`;
    expect(status).toBe(403);
  });
});

describe("a backfill under way", () => {
  /** With runs in these states, as the dispatcher's last look left it: `counted` have been taken out of its open runs. */
  async function arrangeFed(states: readonly string[], counted: { succeeded?: number; failed?: number } = {}) {
    const { body } = await ask({ from, to, concurrency: 5 });
    const ids: string[] = [];
    for (const [index, state] of states.entries()) ids.push(await arrangeRun(index + 1, state, `backfill ${body.id}`));
    const { succeeded = 0, failed = 0 } = counted;
    await api.admin`
      update downbeat.backfills set open_runs = string_to_array(${ids.join(",")}, ',')::uuid[], fed = ${ids.length + succeeded + failed}, succeeded = ${succeeded},
        failed = ${failed}
      where id = ${body.id}`;
    return { id: body.id as string, ids };
  }

  it("shows how its runs did, also those that ended since the dispatcher's last look", async () => {
    const { id, ids } = await arrangeFed(["succeeded", "failed", "pending", "running", "retrying"], { succeeded: 3, failed: 1 });
    expect(await show(id)).toMatchObject({ fed: 9, running: 3, succeeded: 4, failed: 2, canceled: 0 });
    const { body: run } = await api.call("GET", `/api/v1/runs/${ids[2]}`, { key: acme.key });
    expect(run.trigger).toBe("backfill");
    const { body: list } = await api.call("GET", `/api/v1/schedules/${schedule.id}/backfills`, { key: acme.key });
    expect(list.items).toMatchObject([{ id, running: 3, succeeded: 4 }]);
  });

  it("is paused and resumed, each once, with an entry in the journal", async () => {
    const { id } = await arrangeFed([]);
    for (const [action, state] of [
      ["pause", "paused"],
      ["pause", "paused"],
      ["resume", "running"],
      ["resume", "running"],
    ] as const) {
      const { status, body } = await act(id, action);
      expect([status, body.state]).toEqual([200, state]);
    }
    const events =
      await api.admin`select reason from downbeat.schedule_events where schedule_id = ${schedule.id} and event = 'backfill' order by at`;
    expect(events.map((event) => event["reason"])).toEqual(["requested", "paused", "resumed"]);
  });

  it("when it is canceled withdraws what nobody is calling, with a journal entry for each, and leaves the call that is under way", async () => {
    const { id, ids } = await arrangeFed(["pending", "queued", "retrying", "running", "succeeded"]);
    const { status, body } = await act(id, "cancel");
    expect([status, body.state, body.running, body.succeeded, body.canceled]).toEqual([200, "canceled", 1, 1, 3]);
    const runs = await api.admin`
      select state, reason, sweep_at from downbeat.runs where id = any(${ids}::uuid[]) order by id`;
    const withdrawn = { state: "canceled", reason: "backfill_canceled", sweep_at: null };
    expect(runs).toMatchObject([withdrawn, withdrawn, withdrawn, { state: "running" }, { state: "succeeded" }]);
    const events = await api.admin`select actor, event, reason from downbeat.run_events where run_id = any(${ids}::uuid[])`;
    expect([...events]).toEqual(Array.from({ length: 3 }, () => ({ actor: "api", event: "canceled", reason: "backfill_canceled" })));
    const { body: run } = await api.call("GET", `/api/v1/runs/${ids[0]}`, { key: acme.key });
    expect(run.reason_text).toContain("backfill");
    expect((await act(id, "cancel")).body.state).toBe("canceled");
    for (const action of ["pause", "resume"]) expect((await act(id, action)).body.code).toBe("backfill_ended");
  });

  it("when it is completed cannot be changed any more", async () => {
    const { id } = await arrangeFed([]);
    await api.admin`update downbeat.backfills set state = 'completed', finished_at = now() where id = ${id}`;
    for (const action of ["pause", "resume", "cancel"]) {
      const { status, body } = await act(id, action);
      expect([status, body.code]).toEqual([409, "backfill_ended"]);
    }
  });
});

describe("listing", () => {
  it("goes through all backfills of a schedule, newest first, page by page, also of a deleted schedule by its id", async () => {
    const made: string[] = [];
    for (let index = 0; index < 5; index += 1)
      made.unshift((await ask({ from: text(dayAgo + index * hourMs), to: text(dayAgo + (index + 1) * hourMs) })).body.id);
    await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: acme.key });
    const listed: string[] = [];
    let cursor = "";
    do {
      const { body } = await api.call("GET", `/api/v1/schedules/${schedule.id}/backfills?limit=2${cursor}`, { key: acme.key });
      listed.push(...body.items.map((item: { id: string }) => item.id));
      cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
    } while (cursor !== "");
    expect(listed).toEqual(made);
  });

  it("refuses a cursor of another list", async () => {
    const cursor = Buffer.from(JSON.stringify(["+275760-09-13", randomUUID()])).toString("base64url");
    const { status } = await api.call("GET", `/api/v1/schedules/${schedule.id}/backfills?cursor=${cursor}`, { key: acme.key });
    expect(status).toBe(400);
  });
});

describe("another tenant's backfills do not exist", () => {
  it("a foreign id answers as an unknown one, on every route", async () => {
    const { body } = await ask({ from, to });
    const calls = [
      ["GET", `/api/v1/backfills/`, ""],
      ...["pause", "resume", "cancel"].map((action) => ["POST", "/api/v1/backfills/", `/${action}`] as const),
    ] as const;
    for (const [method, before, after] of calls) {
      const foreign = await api.call(method, `${before}${body.id}${after}`, { key: globex.key });
      const unknown = await api.call(method, `${before}${randomUUID()}${after}`, { key: globex.key });
      expect([foreign.status, foreign.text.replace(foreign.body.request_id, "")]).toEqual([
        404,
        unknown.text.replace(unknown.body.request_id, ""),
      ]);
    }
    for (const [method, given] of [
      ["GET", {}],
      ["POST", { body: { from, to } }],
    ] as const) {
      const { status } = await api.call(method, `/api/v1/schedules/${schedule.id}/backfills`, { key: globex.key, ...given });
      expect(status).toBe(404);
    }
    expect((await show(body.id)).state).toBe("running");
  });

  it("an administrator sees them all", async () => {
    const { body } = await ask({ from, to });
    expect((await api.call("GET", `/api/v1/backfills/${body.id}`, { key: api.adminKey })).body.tenant.slug).toBe("acme");
  });
});
