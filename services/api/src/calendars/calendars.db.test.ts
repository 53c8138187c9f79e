import { randomUUID } from "node:crypto";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { until } from "@downbeat/testkit/until.ts";
import { calendarEntryForms } from "@downbeat/timing/parse-calendar.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createSchedule } from "../schedules/create-schedule.ts";
import { newSchedule } from "../schedules/schedule-schemas.ts";
import { type Answer, startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
});
afterAll(() => api.close());

/** A new name for each test, so that none sees another's calendars by name. */
let name: string;
beforeEach(() => {
  name = `calendar ${randomUUID().slice(0, 8)}`;
});

const dayMs = 86_400_000;
/** A daily instant that is far from now whatever the time is, in UTC. */
const hour = (new Date().getUTCHours() + 12) % 24;
const daily = { cron_expression: `0 ${hour} * * *`, endpoint: "shop" };

function dateOf(instant: string | number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

function create(body: Record<string, unknown>, key = acme.key): Promise<Answer> {
  return api.call("POST", "/api/v1/calendars", { key, body: { name, kind: "blackout", entries: ["12-25"], ...body } });
}

async function created(body: Record<string, unknown> = {}, key = acme.key) {
  const answer = await create(body, key);
  expect(answer).toMatchObject({ status: 201 });
  return answer.body;
}

async function schedule(calendars: string[], fields: Record<string, unknown> = {}, key = acme.key) {
  const body = { name: `schedule ${randomUUID()}`, ...daily, calendars, ...fields };
  const answer = await api.call("POST", "/api/v1/schedules", { key, body });
  expect(answer).toMatchObject({ status: 201 });
  return answer.body;
}

async function read(path: string, key = acme.key) {
  return (await api.call("GET", `/api/v1/${path}`, { key })).body;
}

function change(calendar: string, body: Record<string, unknown>, options: { key?: string; dryRun?: boolean } = {}): Promise<Answer> {
  const { key = acme.key, dryRun = false } = options;
  return api.call("PATCH", `/api/v1/calendars/${encodeURIComponent(calendar)}${dryRun ? "?dry_run=true" : ""}`, { key, body });
}

describe("creating", () => {
  it("a tenant's calendar is its own, and keeps its entries as they were given", async () => {
    const entries = [
      "2026-12-25",
      "2026-12-24/2026-12-26",
      "12-24/01-02",
      "MON-FRI 09:00-17:00",
      "2026-12-24T18:00:00Z/2026-12-27T06:00:00Z",
    ];
    const calendar = await created({ kind: "allow", timezone: "Europe/Berlin", entries });
    expect(calendar).toMatchObject({ name, scope: "tenant", tenant: { slug: "acme" }, kind: "allow", timezone: "Europe/Berlin", entries });
    expect(await read(`calendars/${calendar.id}`)).toEqual({ ...calendar, schedules: 0 });
    expect(await read(`calendars/${encodeURIComponent(name)}`)).toEqual({ ...calendar, schedules: 0 });
  });

  it("an administrator who names no tenant makes one of the installation, which every tenant can use", async () => {
    const calendar = await created({}, api.adminKey);
    expect(calendar).toMatchObject({ scope: "installation", tenant: null, timezone: "UTC" });
    for (const { key } of [acme, globex]) {
      expect((await schedule([name], {}, key)).calendars).toEqual([{ id: calendar.id, name }]);
      // Of those that use it, each sees its own.
      expect(await read(`calendars/${calendar.id}`, key)).toEqual({ ...calendar, schedules: 1 });
    }
    expect(await read(`calendars/${calendar.id}`, api.adminKey)).toEqual({ ...calendar, schedules: 2 });
  });

  it("an administrator who names a tenant makes one of that tenant", async () => {
    const body = { name, kind: "blackout", entries: ["12-25"] };
    const answer = await api.call("POST", "/api/v1/calendars", { key: api.adminKey, tenant: "globex", body });
    expect(answer.body).toMatchObject({ scope: "tenant", tenant: { slug: "globex" } });
  });

  it("a name is unique within a scope; a tenant's own wins over the installation's", async () => {
    const shared = await created({}, api.adminKey);
    const own = await created();
    for (const key of [acme.key, api.adminKey]) {
      const { status, body } = await create({}, key);
      expect([status, body.code, body.errors[0].field]).toEqual([409, "name_taken", "name"]);
    }
    expect((await read(`calendars/${encodeURIComponent(name)}`)).id).toBe(own.id);
    expect((await read(`calendars/${encodeURIComponent(name)}`, globex.key)).id).toBe(shared.id);
    expect((await read(`calendars/${encodeURIComponent(name)}`, api.adminKey)).id).toBe(shared.id);
    expect((await schedule([name])).calendars).toEqual([{ id: own.id, name }]);
  });

  it("a key that may only read reads, and writes nothing", async () => {
    const calendar = await created();
    const [{ key }] = [await readingKey()];
    expect((await read(`calendars/${calendar.id}`, key)).id).toBe(calendar.id);
    expect((await create({ name: "by a reader" }, key)).status).toBe(403);
  });
});

async function readingKey(): Promise<{ key: string }> {
  const { createApiKey } = await import("../http/api-keys.ts");
  return createApiKey(api.admin, { scope: "read", tenantId: acme.id, name: "reader", env: "test" });
}

describe("every bad calendar is refused with a problem that names the field and the value", () => {
  const cases: [string, Record<string, unknown>, number, string, unknown][] = [
    ["unknown zone", { timezone: "Europe/Berln" }, 422, "timezone", "Europe/Berln"],
    ["an offset for a zone", { timezone: "+02:00" }, 422, "timezone", "+02:00"],
    ["unknown kind", { kind: "deny" }, 422, "kind", "deny"],
    ["no entries", { entries: [] }, 422, "entries", undefined],
    ["too many entries", { entries: Array.from({ length: 1_001 }, () => "12-25") }, 422, "entries", undefined],
    ["a date that no calendar has", { entries: ["12-25", "2026-02-30"] }, 422, "entries.1", "2026-02-30"],
    ["a day no year has", { entries: ["02-30"] }, 422, "entries.0", "02-30"],
    ["the end before the beginning", { entries: ["2026-12-26/2026-12-24"] }, 422, "entries.0", "2026-12-26/2026-12-24"],
    ["a night in one entry", { entries: ["MON 22:00-06:00"] }, 422, "entries.0", "MON 22:00-06:00"],
    ["a period without offsets", { entries: ["2026-12-24T18:00/2026-12-25T18:00"] }, 422, "entries.0", "2026-12-24T18:00/2026-12-25T18:00"],
    ["words", { entries: ["christmas"] }, 422, "entries.0", "christmas"],
    ["an entry of another type", { entries: [1225] }, 400, "entries.0", 1225],
    ["an empty name", { name: "" }, 422, "name", ""],
    ["an unknown field", { color: "red" }, 400, "color", undefined],
  ];
  it.each(cases)("%s", async (_title, body, status, field, value) => {
    for (const answer of [await create(body), await change((await created({ name: randomUUID().slice(1) })).id, body)]) {
      expect({ status: answer.status, errors: answer.body.errors }).toMatchObject({
        status,
        errors: [{ field, ...(value === undefined ? {} : { value }) }],
      });
    }
  });

  it("an entry that cannot be read is told all the forms an entry may have", async () => {
    const { body } = await create({ entries: ["2026-02-30", "noon"] });
    expect(body.errors.map(({ field, expected }: { field: string; expected: string[] }) => [field, expected])).toEqual([
      ["entries.0", calendarEntryForms],
      ["entries.1", calendarEntryForms],
    ]);
    for (const form of calendarEntryForms) expect(body.detail).toContain(form);
  });

  it("a schedule that names a calendar which is not there is refused", async () => {
    const other = await created({}, globex.key);
    for (const named of [other.id, other.name, "nothing of the kind"]) {
      const { status, body } = await api.call("POST", "/api/v1/schedules", {
        key: acme.key,
        body: { name: "x", ...daily, calendars: [named] },
      });
      expect([status, body.errors]).toMatchObject([422, [{ field: "calendars.0", value: named }]]);
    }
  });
});

describe("whose it is", () => {
  it("another tenant's calendar does not exist, by id or by name, for reading, changing and deleting", async () => {
    const { id } = await created({}, globex.key);
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const options = { key: acme.key, ...(method === "PATCH" ? { body: { entries: ["01-01"] } } : {}) };
      const unknown = await api.call(method, `/api/v1/calendars/${randomUUID()}`, options);
      for (const path of [id, encodeURIComponent(name)]) {
        const foreign = await api.call(method, `/api/v1/calendars/${path}`, options);
        expect([foreign.status, foreign.text.replace(foreign.body.request_id, "")]).toEqual([
          404,
          unknown.text.replace(unknown.body.request_id, ""),
        ]);
      }
    }
    expect((await read(`calendars/${id}`, globex.key)).entries).toEqual(["12-25"]);
  });

  it("a tenant can read the installation's calendars and not change them, nor an administrator in its name", async () => {
    const { id } = await created({}, api.adminKey);
    for (const options of [{ key: acme.key }, { key: api.adminKey, tenant: "acme" }]) {
      const changed = await api.call("PATCH", `/api/v1/calendars/${id}`, { ...options, body: { entries: ["01-01"] } });
      expect([changed.status, changed.body.code]).toEqual([403, "forbidden"]);
      expect((await api.call("DELETE", `/api/v1/calendars/${id}`, options)).status).toBe(403);
    }
    expect((await read(`calendars/${id}`)).entries).toEqual(["12-25"]);
  });

  it("an administrator must name the tenant whose calendar is to change", async () => {
    const { id } = await created();
    const unnamed = await change(id, { entries: ["01-01"] }, { key: api.adminKey });
    expect([unnamed.status, unnamed.body.code]).toEqual([400, "tenant_required"]);
    const named = await api.call("PATCH", `/api/v1/calendars/${id}`, { key: api.adminKey, tenant: "acme", body: { entries: ["01-01"] } });
    expect(named.status).toBe(200);
  });

  it("the database keeps a tenant's transaction from writing a calendar of the installation or of another tenant", async () => {
    const { id } = await created({}, api.adminKey);
    const sql = api.database.connectAs("downbeat_api");
    await tenantTransaction(sql, { kind: "tenant", tenantId: acme.id }, async (database) => {
      await database.updateTable("downbeat.calendars").set({ name: "mine" }).where("id", "=", id).execute();
      await database.deleteFrom("downbeat.calendars").where("id", "=", id).execute();
    });
    expect((await read(`calendars/${id}`)).name).toBe(name);
    for (const tenantId of [null, globex.id]) {
      const planted = tenantTransaction(sql, { kind: "tenant", tenantId: acme.id }, (database) =>
        database.insertInto("downbeat.calendars").values({ tenant_id: tenantId, name: "planted", kind: "allow", entries: "[]" }).execute(),
      );
      await expect(planted).rejects.toThrow("row-level security");
    }
  });

  it("a list has the installation's and the tenant's own, page after page, and for an administrator everybody's", async () => {
    const names = ["a", "b", "c"].map((letter) => `${name} ${letter}`);
    for (const [index, key] of [api.adminKey, acme.key, globex.key].entries()) await created({ name: names[index] }, key);
    const listed = async (key: string) => {
      const found: { id: string; name: string }[] = [];
      let cursor: string | null = null;
      do {
        const page = await read(`calendars?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`, key);
        found.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor !== null);
      expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
      return found.map((item) => item.name).filter((listedName) => listedName.startsWith(name));
    };
    expect(await listed(acme.key)).toEqual([names[0], names[1]]);
    expect(await listed(globex.key)).toEqual([names[0], names[2]]);
    expect((await listed(api.adminKey)).toSorted()).toEqual(names);
  });
});

describe("changing", () => {
  it("new entries move every schedule that uses the calendar to its next occurrence outside of it, at once and with an entry in its journal", async () => {
    const calendar = await created({ entries: ["2020-01-01"] });
    const [one, two] = [await schedule([name]), await schedule([name])];
    const other = await schedule([]);
    const firstDay = dateOf(one.next_run_at);
    const { status, body } = await change(name, { entries: [firstDay] });
    const moved = new Date(Date.parse(one.next_run_at) + dayMs).toISOString();
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: calendar.id, entries: [firstDay], change: { recomputed: 2, withdrawn: 0, completed: [] } });
    expect(body.change.schedules).toEqual(
      [one, two]
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .map(({ id, name: called, tenant }) => ({
          id,
          name: called,
          tenant,
          next_run_at_before: one.next_run_at,
          next_run_at_after: moved,
        })),
    );
    for (const { id } of [one, two]) expect(await read(`schedules/${id}`)).toMatchObject({ next_run_at: moved, revision: 2 });
    expect(await read(`schedules/${other.id}`)).toMatchObject({ next_run_at: other.next_run_at, revision: 1 });
    const journal = await api.admin`select event, reason, detail from downbeat.schedule_events where schedule_id = ${one.id} order by id`;
    expect(journal).toMatchObject([
      { event: "created" },
      {
        event: "updated",
        reason: `calendar ${name} changed`,
        detail: { calendar: { id: calendar.id, name, before: { entries: ["2020-01-01"] }, after: { entries: [firstDay] } } },
      },
    ]);
  });

  it("another kind or another zone is a change of time as well", async () => {
    const probe = await schedule([]);
    const firstDay = dateOf(probe.next_run_at);
    await created({ entries: [firstDay] });
    const { id, next_run_at: second } = await schedule([name]);
    expect(Date.parse(second) - Date.parse(probe.next_run_at)).toBe(dayMs);
    expect((await change(name, { kind: "allow" })).body.change.recomputed).toBe(1);
    expect((await read(`schedules/${id}`)).next_run_at).toBe(probe.next_run_at);
    // The other side of the date line has the same day half a day earlier or later.
    const zone = hour < 12 ? "Pacific/Kiritimati" : "Pacific/Pago_Pago";
    const { body } = await change(name, { kind: "blackout", timezone: zone });
    const local = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" });
    expect(local.format(new Date(body.change.schedules[0].next_run_at_after))).not.toBe(firstDay);
  });

  it("a new name is only a name: schedules go on using it, untouched", async () => {
    await created();
    const { id } = await schedule([name]);
    const { body } = await change(name, { name: `${name} renamed` });
    expect(body).toMatchObject({ name: `${name} renamed`, change: { recomputed: 0, schedules: [] } });
    expect(await read(`schedules/${id}`)).toMatchObject({ revision: 1, calendars: [{ name: `${name} renamed` }] });
    expect((await change(body.id, { name: `${name} renamed`, entries: ["12-25"] })).body.change.recomputed).toBe(0);
  });

  it("with dry_run it says what would become of each schedule, and changes nothing", async () => {
    const calendar = await created({ entries: ["2020-01-01"] });
    const { id, next_run_at: before } = await schedule([name]);
    const entries = [dateOf(before)];
    const dry = await change(name, { entries }, { dryRun: true });
    expect(await read(`calendars/${calendar.id}`)).toEqual({ ...calendar, schedules: 1 });
    expect(await read(`schedules/${id}`)).toMatchObject({ next_run_at: before, revision: 1 });
    const wet = await change(name, { entries });
    expect(dry.body).toEqual({ change: wet.body.change });
  });

  it("a schedule of which nothing is left is completed and named; given something again, it goes on", async () => {
    await created({ entries: ["2020-01-01"] });
    const { id, name: called, next_run_at: first } = await schedule([name]);
    const everything = ["MON-SUN"];
    const dry = await change(name, { entries: everything }, { dryRun: true });
    const emptied = await change(name, { entries: everything });
    expect(emptied.body.change).toMatchObject({
      recomputed: 1,
      completed: [{ id, name: called }],
      schedules: [{ next_run_at_after: null }],
    });
    expect(dry.body.change).toEqual(emptied.body.change);
    expect(await read(`schedules/${id}`)).toMatchObject({ state: "completed", next_run_at: null });
    expect(await api.admin`select 1 from downbeat.schedule_due where schedule_id = ${id}`).toHaveLength(0);
    // A further change that leaves nothing has nothing to do with it.
    expect((await change(name, { entries: ["SUN-SAT"] })).body.change.recomputed).toBe(0);
    const back = await change(name, { entries: ["2020-01-01"] });
    expect(back.body.change).toMatchObject({ recomputed: 1, completed: [] });
    expect(await read(`schedules/${id}`)).toMatchObject({ state: "active", next_run_at: first, completed_at: null });
  });

  it("one that has ended by itself, or had all its runs, stays ended", async () => {
    await created({ entries: ["2020-01-01"] });
    const [ended, usedUp] = [await schedule([name]), await schedule([name])];
    await api.admin`delete from downbeat.schedule_due where schedule_id in ${api.admin([ended.id, usedUp.id])}`;
    await api.admin`update downbeat.schedules set completed_at = now(), ends_at = now() where id = ${ended.id}`;
    await api.admin`update downbeat.schedules set completed_at = now(), completed_reason = 'max_runs' where id = ${usedUp.id}`;
    expect((await change(name, { entries: ["2021-01-01"] })).body.change).toMatchObject({ recomputed: 0, schedules: [] });
    for (const { id } of [ended, usedUp]) expect(await read(`schedules/${id}`)).toMatchObject({ state: "completed", revision: 1 });
  });

  it("a paused schedule stays paused, and resumes by the calendar as it is then", async () => {
    await created({ entries: ["2020-01-01"] });
    const { id, next_run_at: first } = await schedule([name]);
    await api.call("POST", `/api/v1/schedules/${id}/pause`, { key: acme.key });
    const { body } = await change(name, { entries: [dateOf(first)] });
    expect(body.change).toMatchObject({ recomputed: 1, completed: [], schedules: [{ next_run_at_before: null, next_run_at_after: null }] });
    expect(await read(`schedules/${id}`)).toMatchObject({ state: "paused" });
    await api.call("POST", `/api/v1/schedules/${id}/resume`, { key: acme.key });
    expect((await read(`schedules/${id}`)).next_run_at).toBe(new Date(Date.parse(first) + dayMs).toISOString());
  });

  it("a change of the installation's calendar edits the schedules of all tenants, and answers them to the administrator", async () => {
    await created({ entries: ["2020-01-01"] }, api.adminKey);
    const schedules = [await schedule([name]), await schedule([name], {}, globex.key)];
    const { body } = await change(name, { entries: [dateOf(schedules[0].next_run_at)] }, { key: api.adminKey });
    expect(body.change.recomputed).toBe(2);
    expect(new Set(body.change.schedules.map(({ tenant }: { tenant: { slug: string } }) => tenant.slug))).toEqual(
      new Set(["acme", "globex"]),
    );
    for (const [index, { key }] of [acme, globex].entries())
      expect(await read(`schedules/${schedules[index].id}`, key)).toMatchObject({ revision: 2 });
  });

  it("a change that would edit more than 1,000 schedules is refused with their number, and nothing is changed", async () => {
    const { id } = await created({ entries: ["2020-01-01"] });
    const { id: template } = await schedule([name]);
    await api.admin`
      insert into downbeat.schedules (tenant_id, name, kind, cron_expression, endpoint_id, target, calendar_ids)
      select tenant_id, name || ' ' || copy, kind, cron_expression, endpoint_id, target, calendar_ids from downbeat.schedules, generate_series(1, 1000) as copy
      where id = ${template}`;
    for (const dryRun of [true, false]) {
      const { status, body } = await change(id, { entries: ["2021-01-01"] }, { dryRun });
      expect([status, body.code]).toEqual([409, "too_many_schedules"]);
      expect(body.detail).toContain("1001 schedules");
    }
    expect((await read(`calendars/${id}`)).entries).toEqual(["2020-01-01"]);
    // Its name is no matter of theirs.
    expect((await change(id, { name: `${name}, many` })).status).toBe(200);
  });

  it("wakes the dispatchers, when it commits", async () => {
    await created({ entries: ["2020-01-01"] });
    await schedule([name]);
    const heard = Promise.withResolvers<void>();
    const listener = await api.admin.listen("downbeat_due", () => heard.resolve());
    await change(name, { entries: ["2021-01-01"] });
    await expect(heard.promise).resolves.toBeUndefined();
    await listener.unlisten();
  });
});

describe("at the same time", () => {
  it("a schedule that begins to use a calendar while it is changed obeys the change", async () => {
    const { id } = await created({ entries: ["2020-01-01"] });
    const probe = await schedule([]);
    const given = newSchedule.parse({ name: `schedule ${name}`, ...daily, calendars: [name] });
    const options = {
      caller: { keyId: "k", scope: "tenant", tenant: acme } as const,
      tenant: acme,
      allowPrivateTargets: true,
      defaults: { graceSeconds: 60, intervalSecondsMin: 1 },
    };
    let changing: Promise<Answer> | undefined;
    // The schedule is computed with the old entries and not there for others yet when the change begins.
    await tenantTransaction(api.database.connectAs("downbeat_api", 1), { kind: "tenant", tenantId: acme.id }, async (database) => {
      await createSchedule(database, given, options);
      changing = change(id, { entries: [dateOf(probe.next_run_at)] });
      await until("the change waits for the schedule", async () => {
        const waiting = await api.admin`select from pg_locks where locktype = 'advisory' and not granted`;
        return waiting.length === 1;
      });
    });
    const answer = await changing;
    expect(answer?.body.change).toMatchObject({ recomputed: 1, schedules: [{ name: given.name, next_run_at_before: probe.next_run_at }] });
    const moved = new Date(Date.parse(probe.next_run_at) + dayMs).toISOString();
    expect((await read(`schedules/${encodeURIComponent(given.name)}`)).next_run_at).toBe(moved);
  });

  // Two changes, or a change and a claim or a batch of leases, cannot deadlock when each takes its locks in the same order.
  it.each([
    ["schedules", "schedule_due"],
    ["runs that are withdrawn", "runs"],
  ])("a change locks %s in the order of ids: while it waits for the first it holds none of the others", async (_what, table) => {
    const { id } = await created({ entries: ["2020-01-01"] });
    const schedules = [];
    for (let made = 0; made < 5; made += 1) schedules.push((await schedule([id])).id);
    await api.admin`select downbeat.ensure_run_partitions(now(), now() + interval '1 day')`;
    // Claimed ahead, the schedule with the smallest id last.
    await api.admin`
      insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state)
      select ${acme.id}, downbeat.first_run_id(at), rule.id, 1, at, at, 'queued'
      from (select id, date_trunc('milliseconds', now()) + interval '10 minutes' - row_number() over (order by id) * interval '1 minute' as at
        from downbeat.schedules where id in ${api.admin(schedules)}) as rule`;
    const key = api.admin(table === "runs" ? "id" : "schedule_id");
    const rows =
      await api.admin`select ${key} as id from ${api.admin(`downbeat.${table}`)} where schedule_id in ${api.admin(schedules)} order by ${key}`;
    const ids = rows.map((row) => row["id"] as string);
    let changing: Promise<Answer> | undefined;
    await api.admin.begin(async (other) => {
      await other`select from ${other(`downbeat.${table}`)} where ${other(table === "runs" ? "id" : "schedule_id")} = ${ids[0] ?? ""} for update`;
      changing = change(id, { entries: ["2021-01-01"] });
      await until("the change to wait", async () => {
        const waiting = await api.admin`
          select from pg_stat_activity where datname = current_database() and usename = current_user and wait_event_type = 'Lock' and pid <> pg_backend_pid()`;
        return waiting.length === 1;
      });
      const free =
        await api.admin`select ${key} as id from ${api.admin(`downbeat.${table}`)} where ${key} in ${api.admin(ids)} order by ${key} for update skip locked`;
      expect(free.map((row) => row["id"])).toEqual(ids.slice(1));
    });
    expect((await changing)?.body.change).toMatchObject({ recomputed: 5, withdrawn: 5 });
  });

  it("changes of calendars that share schedules, and edits of those, all go through", async () => {
    const shared = [
      await created({ name: `${name} 1`, entries: ["2020-01-01"] }),
      await created({ name: `${name} 2`, entries: ["2020-01-01"] }),
    ];
    const schedules = [];
    for (let made = 0; made < 8; made += 1) schedules.push(await schedule(shared.map(({ id }) => id)));
    const answers = await Promise.all([
      ...[1, 2, 3].flatMap((day) => shared.map(({ id }) => change(id, { entries: [`2020-02-0${day}`] }))),
      ...schedules.map(({ id }) => api.call("PATCH", `/api/v1/schedules/${id}`, { key: acme.key, body: { misfire: "all" } })),
      ...schedules.map(({ id }) => api.call("POST", `/api/v1/schedules/${id}/pause`, { key: acme.key })),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    for (const { id } of schedules) expect(await read(`schedules/${id}`)).toMatchObject({ revision: 9, state: "paused" });
  });
});

describe("deleting", () => {
  it("a calendar that is used is not deleted, and the first five of its schedules are named", async () => {
    await created();
    const schedules = [];
    for (const letter of "abcdefg") schedules.push(await schedule([name], { name: `${name} ${letter}` }));
    const { status, body } = await api.call("DELETE", `/api/v1/calendars/${encodeURIComponent(name)}`, { key: acme.key });
    expect([status, body.code]).toEqual([409, "in_use"]);
    const five = [..."abcde"].map((letter) => `"${name} ${letter}"`).join(", ");
    expect(body.detail).toBe(`7 schedules use the calendar "${name}": ${five} and 2 more. Take it out of their \`calendars\` first.`);
  });

  it("once nothing uses it any more, it is gone and its name is free", async () => {
    const { id } = await created();
    const [detached, deleted] = [await schedule([name]), await schedule([name])];
    expect((await api.call("PATCH", `/api/v1/schedules/${detached.id}`, { key: acme.key, body: { calendars: [] } })).status).toBe(200);
    expect((await api.call("DELETE", `/api/v1/schedules/${deleted.id}`, { key: acme.key })).status).toBe(204);
    expect((await api.call("DELETE", `/api/v1/calendars/${id}`, { key: acme.key })).status).toBe(204);
    expect((await api.call("GET", `/api/v1/calendars/${id}`, { key: acme.key })).status).toBe(404);
    await created();
  });

  it("of the installation's, the administrator hears whose schedules use it", async () => {
    await created({}, api.adminKey);
    const { name: called } = await schedule([name], {}, globex.key);
    const { body } = await api.call("DELETE", `/api/v1/calendars/${encodeURIComponent(name)}`, { key: api.adminKey });
    expect(body.detail).toContain(`1 schedule uses the calendar "${name}": "${called}" of globex.`);
  });
});
