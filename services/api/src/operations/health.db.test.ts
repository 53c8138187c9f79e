import { createLog } from "@downbeat/runtime/log.ts";
import { startLink } from "@downbeat/testkit/link.ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runApi } from "../run.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  await api.call("POST", "/api/v1/schedules", { key: acme.key, body: { name: "hourly", interval_seconds: 3600, endpoint: "shop" } });
});
afterAll(() => api.close());

it("needs no key, at both of its addresses, and tells how long ago a dispatcher last passed", async () => {
  for (const path of ["/health", "/api/v1/health"]) {
    const { status, body } = await api.call("GET", path);
    expect([status, body]).toEqual([200, { status: "ok", database: "up", version: "0.1.0", last_pass_age_seconds: null }]);
  }
  await api.admin`
    insert into downbeat.dispatch_passes (dispatcher, started_at, finished_at, claimed, missed, sent, send_failed, swept)
    values ('test', now() - interval '31 seconds', now() - interval '30 seconds', 0, 0, 0, 0, 0)`;
  const { body } = await api.call("GET", "/health");
  expect(body.last_pass_age_seconds).toBeGreaterThanOrEqual(30);
});

it("without Postgres every request is 503 with Retry-After, also one in the middle of its transaction, and all is well again by itself", async () => {
  const url = new URL(api.database.url);
  const link = await startLink({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${link.port}`;
  const service = await runApi({ ...api.config, DATABASE_URL: url.href }, { log: createLog("api", "silent") });
  const ask = (method: string, path: string) =>
    fetch(`${service.url}${path}`, { method, headers: { authorization: `Bearer ${acme.key}` } });
  expect((await ask("GET", "/api/v1/schedules/hourly")).status).toBe(200);

  // A pause waits for the schedule's lock when the connection breaks.
  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holding = api.admin.begin(async (transaction) => {
    await transaction`select 1 from downbeat.schedule_due for update`;
    held.resolve();
    await release.promise;
  });
  await held.promise;
  const pausing = ask("POST", "/api/v1/schedules/hourly/pause");
  for (let waiting = 0; waiting === 0;) {
    const [row] =
      await api.admin`select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    waiting = row?.["waiting"];
  }
  link.cut();
  const broken = await pausing;
  expect([broken.status, broken.headers.get("retry-after"), ((await broken.json()) as { code: string }).code]).toEqual([
    503,
    "5",
    "unavailable",
  ]);
  for (const path of ["/api/v1/schedules", "/health"]) expect((await ask("GET", path)).status).toBe(503);
  expect(await (await ask("GET", "/health")).json()).toMatchObject({ status: "unavailable", database: "down" });

  await link.mend();
  release.resolve();
  await holding;
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask("GET", "/api/v1/schedules/hourly")));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  expect((await ask("GET", "/health")).status).toBe(200);
  await service.close();
  link.cut();
});
