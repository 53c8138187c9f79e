import { randomUUID } from "node:crypto";
import { runId } from "@downbeat/store/run-id.ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
let globex: TestTenant;
const schedules: Record<string, string> = {};
const minute = 60_000;
const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000;

beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
  globex = await api.addTenant("globex");
  await api.admin`select downbeat.ensure_run_partitions(now() - interval '3 days', now())`;
  for (const [tenant, name] of [
    [acme, "a"],
    [acme, "b"],
    [globex, "c"],
  ] as const) {
    const { body } = await api.call("POST", "/api/v1/schedules", {
      key: tenant.key,
      body: { name, interval_seconds: 60, endpoint: "shop" },
    });
    schedules[name] = body.id;
    // Across a day's boundary, so that a page spans two partitions.
    for (let k = -10; k < 10; k += 1) await addRun(tenant, body.id, midnight + k * minute, k % 2 === 0 ? "succeeded" : "failed");
  }
});
afterAll(() => api.close());

async function addRun(tenant: TestTenant, scheduleId: string, at: number, state: string): Promise<string> {
  const id = runId(scheduleId, at);
  await api.admin`
    insert into downbeat.runs (tenant_id, id, schedule_id, schedule_revision, scheduled_for, due_at, state, reason, attempt, started_at, finished_at, http_status)
    values (${tenant.id}, ${id}, ${scheduleId}, 1, ${new Date(at)}, ${new Date(at)}, ${state}, ${state === "failed" ? "rejected" : null}, 1,
      ${new Date(at + 42)}, ${new Date(at + 99)}, ${state === "failed" ? 400 : 204})`;
  return id;
}

interface Item {
  id: string;
  scheduled_for: string;
}

async function readAll(query: string, key: string): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const { status, body }: { status: number; body: { items: Item[]; next_cursor: string | null } } = await api.call(
      "GET",
      `/api/v1/runs?limit=7&${query}${cursor === null ? "" : `&cursor=${cursor}`}`,
      { key },
    );
    expect(status).toBe(200);
    items.push(...body.items);
    cursor = body.next_cursor;
  } while (cursor !== null);
  return items;
}

it.each([
  ["a tenant's", "", 40, () => acme.key],
  ["one schedule's by name", "schedule=a", 20, () => acme.key],
  ["one state's", "state=failed", 20, () => acme.key],
  ["one schedule's in one state", "schedule=b&state=failed", 10, () => acme.key],
  ["every tenant's", "", 60, () => api.adminKey],
])("pages through %s runs, newest first, each once", async (_title, query, count, key) => {
  const items = await readAll(query, key());
  expect(items).toHaveLength(count);
  expect(new Set(items.map(({ id }) => id)).size).toBe(count);
  expect(items.map(({ id }) => id)).toEqual(
    items
      .map(({ id }) => id)
      .sort()
      .reverse(),
  );
});

it("since is inclusive, until is exclusive, to the millisecond", async () => {
  const since = new Date(midnight - minute).toISOString();
  const until = new Date(midnight + 2 * minute).toISOString();
  for (const query of [`since=${since}&until=${until}`, `schedule=a&since=${since}&until=${until}`]) {
    const items = await readAll(query, acme.key);
    expect(new Set(items.map((item) => item.scheduled_for))).toEqual(
      new Set([-1, 0, 1].map((k) => new Date(midnight + k * minute).toISOString())),
    );
  }
});

it("a run says what it is a run of, how late it started, and why it failed in words", async () => {
  const [item] = await readAll("schedule=a&state=failed", acme.key);
  expect(item).toMatchObject({
    tenant: { id: acme.id, slug: "acme" },
    schedule: { id: schedules["a"], name: "a" },
    state: "failed",
    reason: "rejected",
    reason_text: "The target answered that it will never accept this request.",
    trigger: "schedule",
    attempt: 1,
    lag_ms: 42,
    http_status: 400,
  });
});

it("a run's detail has its attempts and its life in order", async () => {
  const id = await addRun(acme, schedules["a"] ?? "", midnight + 100 * minute, "failed");
  const at = (ms: number) => new Date(midnight + 100 * minute + ms);
  await api.admin`update downbeat.runs set created_at = ${at(-70_000)}, queued_at = ${at(-69_000)}, attempt = 2, finished_at = ${at(9_000)} where id = ${id}`;
  await api.admin`
    insert into downbeat.attempts (tenant_id, run_id, attempt, outcome, code, http_status, started_at, finished_at, response_excerpt, executor) values
      (${acme.id}, ${id}, 1, 'transient', 'http_503', 503, ${at(5)}, ${at(500)}, 'busy', 'e1'), (${acme.id}, ${id}, 2, 'permanent', 'http_400', 400, ${at(8_000)}, ${at(9_000)}, null, 'e2')`;
  await api.admin`
    insert into downbeat.run_events (tenant_id, run_id, at, actor, event, reason) values
      (${acme.id}, ${id}, ${at(501)}, 'e1', 'retrying', 'http_503'), (${acme.id}, ${id}, ${at(9_001)}, 'e2', 'failed', 'rejected')`;
  const { body } = await api.call("GET", `/api/v1/runs/${id}`, { key: acme.key });
  expect(body.attempts.map((attempt: object) => ({ ...attempt, started_at: "", finished_at: "" }))).toEqual([
    {
      attempt: 1,
      outcome: "transient",
      code: "http_503",
      http_status: 503,
      started_at: "",
      finished_at: "",
      duration_ms: 495,
      response_excerpt: "busy",
      executor: "e1",
    },
    {
      attempt: 2,
      outcome: "permanent",
      code: "http_400",
      http_status: 400,
      started_at: "",
      finished_at: "",
      duration_ms: 1_000,
      response_excerpt: null,
      executor: "e2",
    },
  ]);
  expect(body.timeline.map(({ event, detail }: { event: string; detail: string | null }) => `${event} ${detail ?? ""}`.trim())).toEqual([
    "created",
    "queued",
    "attempt_started attempt 1",
    "attempt_ended attempt 1: http_503",
    "retrying http_503",
    "attempt_started attempt 2",
    "attempt_ended attempt 2: http_400",
    "failed rejected",
  ]);
});

it("a run that succeeded tells its end from its own row, since the ordinary path writes no journal", async () => {
  const id = runId(schedules["a"] ?? "", midnight);
  const { body } = await api.call("GET", `/api/v1/runs/${id}`, { key: api.adminKey });
  expect(body.timeline).toContainEqual({ event: "succeeded", at: new Date(midnight + 99).toISOString(), actor: null, detail: null });
});

it("an unknown run, and a text that is no id, are 404", async () => {
  for (const id of [randomUUID(), "x"])
    expect((await api.call("GET", `/api/v1/runs/${id}`, { key: acme.key })).body.code).toBe("not_found");
});
