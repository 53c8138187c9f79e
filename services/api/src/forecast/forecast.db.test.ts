import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** A midnight to come, a week from now: every forecast of these tests begins there. */
const midnight = (Math.floor(Date.now() / dayMs) + 7) * dayMs;
const text = (at: number) => new Date(at).toISOString();

/** Many schedules of one cron expression, in one statement. Their ids are the same in every run, and so is how they spread. */
async function insertSchedules(tenant: TestTenant, count: number, cronExpression: string, endpoint = "shop"): Promise<void> {
  await api.admin`
    with made as (
      insert into downbeat.schedules (tenant_id, id, name, kind, cron_expression, endpoint_id, target)
      select ${tenant.id}, md5(${cronExpression} || number)::uuid, ${cronExpression} || ' ' || lpad(number::text, 5, '0'), 'cron', ${cronExpression}, endpoint.id,
        '{"type":"http","method":"POST","path":""}'::jsonb
      from generate_series(1, ${count}) number, downbeat.endpoints endpoint
      where endpoint.tenant_id = ${tenant.id} and endpoint.name = ${endpoint}
      returning tenant_id, id
    )
    insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at)
    select tenant_id, id, ${text(midnight)} from made`;
  await api.admin`analyze downbeat.schedules, downbeat.schedule_due`;
}

async function forecast(key: string, query: Record<string, string> = {}, tenant?: string) {
  const asked = new URLSearchParams({ from: text(midnight), days: "1", ...query });
  const answer = await api.call("GET", `/api/v1/forecast?${asked}`, { key, ...(tenant === undefined ? {} : { tenant }) });
  expect(answer).toMatchObject({ status: 200 });
  return answer.body;
}

describe("the forecast", () => {
  it("shows 10,000 daily schedules at midnight as the peak that they are, and how long the slots need for it", async () => {
    const herd = await api.addTenant("herd");
    await insertSchedules(herd, 10_000, "0 0 * * *");
    await insertSchedules(herd, 60, "*/10 * * * *");
    const body = await forecast(herd.key, { days: "7", slots: "50", call_seconds: "0.5" });
    expect(body).toMatchObject({ from: text(midnight), to: text(midnight + 7 * dayMs), schedules: 10_060, is_cut: false, left_out: 0 });
    expect(body.occurrences).toBe(7 * (10_000 + 60 * 144));
    expect(body.runs_per_minute_mean).toBeCloseTo(body.occurrences / (7 * 1_440), 5);
    expect(body.peaks).toHaveLength(20);
    expect(body.peaks[0]).toMatchObject({ minute: text(midnight), count: 10_060, schedules: 10_060, seconds: 101 });
    expect(body.peaks[0].endpoints).toMatchObject([{ name: "shop", count: 10_060, tenant: { slug: "herd" } }]);
    expect(body.peaks[0].top_schedules[0]).toMatchObject({ name: "*/10 * * * * 00001", count: 1 });
    expect(body.peaks.slice(0, 8).map(({ count }: { count: number }) => count)).toEqual([...Array(7).fill(10_060), 60]);
    expect(body.limits).toEqual({ slots: 50, call_seconds: 0.5, peak_seconds: 101 });
    expect(body.hours).toHaveLength(7 * 24);
    expect(body.hours[0]).toEqual({ hour: text(midnight), count: 10_360, busiest_minute_count: 10_060 });
    expect(body.minutes).toBeUndefined();
  });

  it(
    "spread by a quarter of an hour through the API, 10,000 at midnight have no minute and no second above three times the mean",
    { timeout: 240_000 },
    async () => {
      const spread = await api.addTenant("spread");
      await insertSchedules(spread, 10_000, "0 0 * * *");
      const ids = (await api.admin<{ id: string }[]>`select id from downbeat.schedules where tenant_id = ${spread.id} order by id`).map(
        ({ id }) => id,
      );
      for (let first = 0; first < ids.length; first += 1_000) {
        const body = { filter: { ids: ids.slice(first, first + 1_000) }, changes: { spread: "15m" } };
        const { status, body: changed } = await api.call("POST", "/api/v1/schedules/bulk", { key: spread.key, body });
        expect([status, changed.changed, changed.schedules.length, changed.is_cut]).toEqual([200, 1_000, 100, true]);
        expect(changed.schedules[0].next_run_at_before).toBe(text(midnight));
        expect(changed.impact).toMatchObject({ added: 0, removed: 0, runs_before: 30_000, runs_after: 30_000 });
      }
      const body = await forecast(spread.key, { resolution: "minute" });
      expect(body.minutes.map(([minute]: [string]) => minute)).toEqual(
        Array.from({ length: 15 }, (_, minute) => text(midnight + minute * minuteMs)),
      );
      expect(body.occurrences).toBe(10_000);
      expect(body.peaks[0].count).toBeLessThanOrEqual(3 * (10_000 / 15));
      // What the due index has is when they will start, on the next day already.
      const bySecond = await api.admin<{ at: Date; count: number }[]>`
        select date_trunc('second', next_run_at) as at, count(*)::int as count from downbeat.schedule_due where tenant_id = ${spread.id} group by 1 order by 2 desc`;
      expect(bySecond[0]?.count).toBeLessThanOrEqual(3 * (10_000 / 900));
      const minuteOf = (at: number) => Math.floor((at % dayMs) / minuteMs);
      const byMinute = Array.from({ length: 15 }, (_, minute) =>
        bySecond.reduce((sum, { at, count }) => (minuteOf(at.getTime()) === minute ? sum + count : sum), 0),
      );
      expect(body.minutes.map(([, count]: [string, number]) => count)).toEqual(byMinute);
    },
  );

  it("is held to the caller's tenant; an administrator sees all, with the tenants that make a peak, or one", async () => {
    const [one, other] = [await api.addTenant("one"), await api.addTenant("other")];
    await insertSchedules(one, 30, "17 3 * * *");
    await insertSchedules(other, 70, "17 3 * * *");
    const minute = text(midnight + (3 * 60 + 17) * minuteMs);
    const mine = await forecast(one.key);
    expect([mine.schedules, mine.occurrences, mine.peaks.length]).toEqual([30, 30, 1]);
    expect(mine.peaks[0]).not.toHaveProperty("tenants");
    const all = await forecast(api.adminKey, { name: "17 3" });
    expect([all.schedules, all.peaks.length]).toEqual([100, 1]);
    expect(all.peaks[0]).toMatchObject({
      minute,
      count: 100,
      tenants: [
        { id: other.id, slug: "other", count: 70 },
        { id: one.id, slug: "one", count: 30 },
      ],
      endpoints: [
        { name: "shop", count: 70, tenant: { slug: "other" } },
        { name: "shop", count: 30, tenant: { slug: "one" } },
      ],
    });
    expect((await forecast(api.adminKey, {}, "one")).occurrences).toBe(30);
    const { status } = await api.call("GET", `/api/v1/forecast?endpoint=${all.peaks[0].endpoints[0].id}`, { key: one.key });
    expect(status).toBe(404);
  });

  it("leaves out what does not run: paused, deleted, completed, in maintenance, beyond max_runs; and resumes where a pause ends", async () => {
    const tenant = await api.addTenant("quiet");
    await insertSchedules(tenant, 6, "0 * * * *");
    const [paused, pausing, deleted, completed, limited] = await api.admin<{ id: string }[]>`
      select id from downbeat.schedules where tenant_id = ${tenant.id} order by name limit 5`;
    await api.admin`update downbeat.schedules set paused_at = now() where id = ${paused?.id ?? ""}`;
    await api.admin`update downbeat.schedules set paused_at = now(), paused_until = ${text(midnight + 20 * 3_600_000)} where id = ${pausing?.id ?? ""}`;
    await api.admin`update downbeat.schedules set deleted_at = now() where id = ${deleted?.id ?? ""}`;
    await api.admin`update downbeat.schedules set completed_at = now() where id = ${completed?.id ?? ""}`;
    await api.admin`update downbeat.schedules set max_runs = 10 where id = ${limited?.id ?? ""}`;
    await api.admin`insert into downbeat.schedule_gates (tenant_id, schedule_id, started) values (${tenant.id}, ${limited?.id ?? ""}, 7)`;
    const body = await forecast(tenant.key);
    expect([body.schedules, body.occurrences]).toEqual([3, 24 + 4 + 3]);
    await api.admin`
      update downbeat.tenants set maintenance_from = now(), maintenance_until = ${text(midnight + 12 * 3_600_000)} where id = ${tenant.id}`;
    const later = await forecast(tenant.key);
    expect([later.schedules, later.occurrences]).toEqual([3, 12 + 4 + 3]);
    expect(later.peaks[0].minute >= text(midnight + 12 * 3_600_000)).toBe(true);
  });

  it("sets each day against the tenant's limit, with what the day has had already", async () => {
    const tenant = await api.addTenant("limited");
    await insertSchedules(tenant, 10, "0 * * * *");
    const day = text(midnight).slice(0, 10);
    expect((await forecast(tenant.key)).days).toEqual([{ day, count: 240, used: 0, limit: null, is_over: null }]);
    await api.admin`update downbeat.tenants set runs_per_day_max = 250 where id = ${tenant.id}`;
    expect((await forecast(tenant.key)).days).toEqual([{ day, count: 240, used: 0, limit: 250, is_over: false }]);
    await api.admin`insert into downbeat.tenant_usage (tenant_id, day, runs) values (${tenant.id}, ${day}, 11)`;
    expect((await forecast(tenant.key)).days).toEqual([{ day, count: 240, used: 11, limit: 250, is_over: true }]);
    expect((await forecast(tenant.key, { from: text(midnight + 90 * minuteMs) })).hours).toHaveLength(25);
  });

  it("asks for one endpoint by name or id, and for a part of a name as it stands", async () => {
    const tenant = await api.addTenant("filters");
    await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name: "billing", base_url: "http://127.0.0.1:9/b" } });
    await insertSchedules(tenant, 3, "0 6 * * *");
    await insertSchedules(tenant, 2, "30 6 * * *", "billing");
    const byName = await forecast(tenant.key, { endpoint: "billing" });
    expect([byName.schedules, byName.occurrences]).toEqual([2, 2]);
    const byId = await forecast(tenant.key, { endpoint: byName.peaks[0].endpoints[0].id, resolution: "minute" });
    expect(byId.minutes).toEqual([[text(midnight + 390 * minuteMs), 2]]);
    expect((await forecast(tenant.key, { name: "0 6 *" })).schedules).toBe(5);
    expect((await forecast(tenant.key, { name: "%" })).schedules).toBe(0);
  });

  it("begins with the minute of now unless it is told where, and answers an empty tenant with zeros", async () => {
    const tenant = await api.addTenant("empty");
    const { status, body } = await api.call("GET", "/api/v1/forecast", { key: tenant.key });
    expect([status, body.schedules, body.occurrences, body.peaks, body.limits.peak_seconds]).toEqual([200, 0, 0, [], null]);
    expect(Date.parse(body.from) % minuteMs).toBe(0);
    expect(Math.abs(Date.parse(body.from) - Date.now())).toBeLessThan(5 * minuteMs);
    expect(Date.parse(body.to) - Date.parse(body.from)).toBe(7 * dayMs);
  });

  it.each([
    ["days=15", "days"],
    ["days=many", "days"],
    ["from=yesterday", "from"],
    ["from=2001-01-01T00:00:00Z", "from"],
    ["slots=0", "slots"],
    ["call_seconds=-1", "call_seconds"],
    ["resolution=second", "resolution"],
  ])("refuses %s by the name of the parameter", async (query, field) => {
    const { status, body } = await api.call("GET", `/api/v1/forecast?${query}`, { key: api.adminKey });
    expect([status, body.errors[0].field]).toEqual([400, field]);
  });
});
