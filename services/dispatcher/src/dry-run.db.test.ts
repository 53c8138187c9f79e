import { runId } from "@downbeat/store/run-id.ts";
import { arrangeRun, type ArrangedSchedule } from "@downbeat/store/runs.test-support.ts";
import { type ArrangedEndpoint, arrangeEndpoint, arrangeSchedules, databaseNow } from "@downbeat/testkit/arrange.ts";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claimDue } from "./claim-due.ts";
import { type DryRun, dryRun, UnknownTenantError } from "./dry-run.ts";

let database: TestDatabase;
let acme: ArrangedEndpoint;
let globex: ArrangedEndpoint;
let due: string[];
let overdue: string;
let now: number;

beforeAll(async () => {
  database = await createTestDatabase();
  const sql = database.admin;
  acme = await arrangeEndpoint(sql, "http://127.0.0.1:9", { slug: "acme" });
  globex = await arrangeEndpoint(sql, "http://127.0.0.1:9", { slug: "globex" });
  now = Math.floor(await databaseNow(sql));
  const hourly = { kind: "interval", intervalSeconds: 3_600, anchorAt: now - 11 * 3_600_000 } as const;
  due = await arrangeSchedules(sql, acme, { rule: hourly, nextRunAt: now - 10 * 3_600_000 });
  await arrangeSchedules(sql, globex, { rule: { kind: "once", runAt: now + 30_000 }, nextRunAt: now + 30_000 });
  await arrangeSchedules(sql, globex, { rule: { kind: "cron", cronExpression: "61 * * * *" }, nextRunAt: now });
  const schedule: ArrangedSchedule = { ...globex, scheduleId: due[0] ?? "" };
  overdue = (await arrangeRun(sql, schedule, { state: "pending", sweepInMs: -1 })).runId;
});
afterAll(() => database.drop());

const look = (tenant?: string): Promise<DryRun> =>
  dryRun({ sql: database.connectAs("downbeat_dispatcher", 1), config: { HORIZON_SECONDS: 75, PUBLISH_TIMEOUT_MS: 10_000 }, tenant });

/** Everything a pass could change, in text. */
const everything = () => database.admin`
  select (select string_agg(due::text, ';' order by schedule_id) from downbeat.schedule_due due) as due,
    (select string_agg(run::text, ';' order by id) from downbeat.runs run) as runs, (select count(*) from downbeat.attempts) as attempts,
    (select count(*) from downbeat.run_events) as events, (select count(*) from downbeat.schedule_stats) as stats,
    (select count(*) from downbeat.dispatch_passes) as passes`;

test("a dry run tells what a pass would claim, miss, sweep and stumble over, by names", async () => {
  const answer = await look();
  expect(answer).toMatchObject({ isCut: false, overdue: [{ tenant: "globex", runId: overdue, found: "unsent", isSendable: true }] });
  expect(
    answer.runs
      .map(({ tenant, runId: id, scheduledFor }) => [tenant, id, scheduledFor - now])
      .sort((a, b) => Number(a[2]) - Number(b[2]) || String(a[0]).localeCompare(String(b[0]))),
  ).toEqual([
    ["acme", runId(due[0] ?? "", now), 0],
    // The broken schedule's occurrence that was known to be due.
    ["globex", expect.any(String), 0],
    ["globex", expect.any(String), 30_000],
  ]);
  expect(answer.missed).toMatchObject([{ tenant: "acme", from: now - 10 * 3_600_000, to: now - 3_600_000, count: 10 }]);
  expect(answer.broken).toMatchObject([
    { tenant: "globex", schedule: expect.stringMatching(/^schedule-/), error: expect.stringMatching(/./) },
  ]);
  expect(answer.nowAt).toBeGreaterThanOrEqual(now);
});

test("for one tenant, by slug or by id, it tells nothing of the others", async () => {
  for (const tenant of ["acme", acme.tenantId]) {
    const { runs, missed, overdue: swept, broken } = await look(tenant);
    expect([runs.map((run) => run.tenant), missed.map((stretch) => stretch.tenant), swept, broken]).toEqual([["acme"], ["acme"], [], []]);
  }
});

test("a tenant that does not exist is an error that names it", async () => {
  const unknown = look("acmee");
  await expect(unknown).rejects.toThrow(UnknownTenantError);
  await expect(unknown).rejects.toThrow('there is no tenant "acmee"');
});

test("it writes nothing, and a pass afterwards does what it said", async () => {
  const before = await everything();
  const { runs } = await look();
  expect(await everything()).toEqual(before);
  const sql = database.connectAs("downbeat_dispatcher", 1);
  const batch = await claimDue({ sql, log: captureLog().log, horizonMs: 75_000, batchSize: 100, publishTimeoutMs: 10_000 });
  expect(batch.runs.map((run) => run.runId).sort()).toEqual(runs.map((run) => run.runId).sort());
});
