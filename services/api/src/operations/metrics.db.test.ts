import { type EmbeddedSqs, startSqs } from "@downbeat/embedded/sqs.ts";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { receiveMessages } from "@downbeat/queue/receive-messages.ts";
import { sendWakeUps } from "@downbeat/queue/send-wake-ups.ts";
import { arrangeRun, arrangeSchedule, type ArrangedSchedule, type RunFields } from "@downbeat/store/runs.test-support.ts";
import { arrangeSchedules } from "@downbeat/testkit/arrange.ts";
import { startLink } from "@downbeat/testkit/link.ts";
import { samplesOf } from "@downbeat/testkit/metric-samples.ts";
import { until } from "@downbeat/testkit/until.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLog } from "@downbeat/runtime/log.ts";
import type { ApiConfig } from "../config.ts";
import { runApi } from "../run.ts";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let sqs: EmbeddedSqs;
let queue: QueueClient;
let queueUrl: string;
let queues = 0;
/** Without a port of its own for metrics. */
let api: TestApi;
let acme: TestTenant;
let schedule: ArrangedSchedule;
beforeAll(async () => {
  sqs = await startSqs({ port: 0 });
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  api = await startTestApi();
  acme = await api.addTenant("acme");
  schedule = await arrangeSchedule(api.admin);
});
afterAll(async () => {
  await api.close();
  queue.destroy();
  await sqs.stop();
});
beforeEach(async () => {
  await api.admin`truncate downbeat.dispatch_passes, downbeat.runs, downbeat.schedule_due`;
  ({ queueUrl } = await createQueues(queue, `metrics-${(queues += 1)}`, 60));
});

/** What the API tells of Downbeat, by series. */
async function told(url = api.url): Promise<Record<string, number>> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  return samplesOf(await response.text());
}

/** Another API process over the same database, which tells of its own requests at a port of its own. */
async function startOther(overrides: Partial<ApiConfig>) {
  const lines: { msg: string; url?: string }[] = [];
  const log = createLog("api", "debug", { write: (line) => void lines.push(JSON.parse(line) as { msg: string }) });
  const service = await runApi({ ...api.config, ...overrides }, { log });
  return { ...service, operationsUrl: lines.find(({ msg }) => msg === "serving metrics and probes")?.url ?? "", lines };
}

interface Pass {
  agoSeconds: number;
  claimed?: number;
  missed?: number;
  sent?: number;
  sendFailed?: number;
  swept?: number;
  error?: string;
}

async function recordPass({ agoSeconds, claimed = 0, missed = 0, sent = 0, sendFailed = 0, swept = 0, error }: Pass): Promise<void> {
  await api.admin`
    insert into downbeat.dispatch_passes (dispatcher, started_at, finished_at, claimed, missed, sent, send_failed, swept, error)
    values ('test', now() - ${agoSeconds + 1} * interval '1 second', now() - ${agoSeconds} * interval '1 second', ${claimed}, ${missed}, ${sent}, ${sendFailed}, ${swept}, ${error ?? null})`;
}

describe("of dispatchers", () => {
  test("before the first pass no age is told, because a zero would say that all is well; sums are zero", async () => {
    const samples = await told();
    expect(samples).not.toHaveProperty("downbeat_last_pass_age_seconds");
    expect(samples).toMatchObject({
      downbeat_postgres_up: 1,
      'downbeat_passes_last_5m{result="ok"}': 0,
      'downbeat_passes_last_5m{result="error"}': 0,
      'downbeat_pass_runs_last_5m{result="claimed"}': 0,
    });
  });

  test("the age is that of the last pass, and sums are of the last five minutes", async () => {
    await recordPass({ agoSeconds: 3_600, claimed: 1_000, error: "the queue was away" });
    await recordPass({ agoSeconds: 100, claimed: 7, missed: 3, sent: 5, sendFailed: 2, swept: 1, error: "the queue was away" });
    await recordPass({ agoSeconds: 60, claimed: 10, sent: 12, swept: 2 });
    const { downbeat_last_pass_age_seconds: age, ...samples } = await told();
    expect(age).toBeGreaterThanOrEqual(60);
    expect(age).toBeLessThan(90);
    expect(samples).toMatchObject({
      'downbeat_passes_last_5m{result="ok"}': 1,
      'downbeat_passes_last_5m{result="error"}': 1,
      'downbeat_pass_runs_last_5m{result="claimed"}': 17,
      'downbeat_pass_runs_last_5m{result="missed"}': 3,
      'downbeat_pass_runs_last_5m{result="sent"}': 17,
      'downbeat_pass_runs_last_5m{result="send_failed"}': 2,
      'downbeat_pass_runs_last_5m{result="swept"}': 3,
    });
  });
});

describe("of what is due", () => {
  const rule = { kind: "interval", intervalSeconds: 3_600, anchorAt: 0 } as const;

  test("schedules that are due and not claimed are counted, with the age of the first; those that are due later are not", async () => {
    expect(await told()).toMatchObject({ downbeat_due_backlog: 0, downbeat_overdue_schedules_age_seconds: 0 });
    await arrangeSchedules(api.admin, schedule, { rule, nextRunAt: Date.now() - 90_000 });
    await arrangeSchedules(api.admin, schedule, { rule, nextRunAt: Date.now() - 1_000, count: 2 });
    await arrangeSchedules(api.admin, schedule, { rule, nextRunAt: Date.now() + 60_000, count: 5 });
    const samples = await told();
    expect(samples["downbeat_due_backlog"]).toBe(3);
    expect(samples["downbeat_overdue_schedules_age_seconds"]).toBeGreaterThanOrEqual(90);
    expect(samples["downbeat_overdue_schedules_age_seconds"]).toBeLessThan(120);
  });

  test.each<[string, number, RunFields]>([
    ["that was never sent", 1, { state: "pending", dueInMs: -31_000, sweepInMs: -21_000 }],
    ["that lies in the queue", 1, { state: "queued", dueInMs: -31_000, sweepInMs: 569_000 }],
    ["whose retry is late", 1, { state: "retrying", attempt: 1, dueInMs: -31_000, sweepInMs: -31_000 }],
    ["that was due a moment ago", 0, { state: "queued", dueInMs: -20_000, sweepInMs: 580_000 }],
    ["that is being called", 0, { state: "running", attempt: 1, dueInMs: -31_000, sweepInMs: 14_000 }],
    ["that waits for another of its schedule", 0, { state: "pending", reason: "overlap", dueInMs: -3_600_000, sweepInMs: 10_000 }],
    ["that is over", 0, { state: "succeeded", attempt: 1, dueInMs: -31_000 }],
  ])("a run %s counts %i as overdue", async (_name, counted, fields) => {
    await arrangeRun(api.admin, schedule, fields);
    expect((await told())["downbeat_overdue_runs"]).toBe(counted);
  });
});

describe("of the queue", () => {
  test("nothing is told without its URL", async () => {
    expect(Object.keys(await told()).filter((series) => series.startsWith("downbeat_queue"))).toEqual([]);
  });

  test("visible, in flight and delayed messages are told of it and of its dead-letter queue", async () => {
    const other = await startOther({ SQS_QUEUE_URL: queueUrl, AWS_ENDPOINT_URL: sqs.endpoint });
    try {
      const message = (delaySeconds: number) => ({ refs: [], body: "{}", delaySeconds, groupId: "a" });
      await sendWakeUps(queue, queueUrl, [message(0), message(0), message(0), message(600), message(600)]);
      await sendWakeUps(queue, `${queueUrl}-dlq`, [message(0)]);
      expect(await told(other.url)).toMatchObject({
        downbeat_queue_up: 1,
        'downbeat_queue_messages{queue="main",state="visible"}': 3,
        'downbeat_queue_messages{queue="main",state="in_flight"}': 0,
        'downbeat_queue_messages{queue="main",state="delayed"}': 2,
        'downbeat_queue_messages{queue="dead_letter",state="visible"}': 1,
        'downbeat_queue_messages{queue="dead_letter",state="in_flight"}': 0,
        'downbeat_queue_messages{queue="dead_letter",state="delayed"}': 0,
      });
      const { signal } = new AbortController();
      await receiveMessages({ client: queue, queueUrl, visibilitySeconds: 60, waitSeconds: 0, signal });
      expect(await told(other.url)).toMatchObject({
        'downbeat_queue_messages{queue="main",state="visible"}': 0,
        'downbeat_queue_messages{queue="main",state="in_flight"}': 3,
      });
    } finally {
      await other.close();
    }
  });

  test("a queue that cannot be read is told as such, without numbers, and fails nothing else", async () => {
    await recordPass({ agoSeconds: 5 });
    const other = await startOther({ SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/none`, AWS_ENDPOINT_URL: "http://127.0.0.1:1" });
    try {
      const samples = await told(other.url);
      expect(samples).toMatchObject({ downbeat_queue_up: 0, downbeat_postgres_up: 1, downbeat_last_pass_age_seconds: expect.any(Number) });
      expect(Object.keys(samples).filter((series) => series.startsWith("downbeat_queue_messages"))).toEqual([]);
    } finally {
      await other.close();
    }
  });
});

describe("of the API itself", () => {
  test("requests are counted by route and status, never by what was in the path", async () => {
    await api.call("GET", "/api/v1/schedules/no-such-name", { key: acme.key });
    const before = await told();
    await api.call("GET", "/api/v1/schedules/no-such-name", { key: acme.key });
    await api.call("GET", "/nowhere/acme");
    const after = await told();
    const series = 'downbeat_http_requests_total{route="/api/v1/schedules/:schedule",method="GET",status="404"}';
    expect((after[series] ?? 0) - (before[series] ?? 0)).toBe(1);
    expect(after['downbeat_http_requests_total{route="unknown",method="GET",status="404"}']).toBe(1);
    expect(after['downbeat_http_request_duration_seconds_count{route="/api/v1/schedules/:schedule"}']).toBeGreaterThanOrEqual(2);
    expect(after['downbeat_build_info{version="0.1.0",role="api"}']).toBe(1);
  });

  test("of the connections to Postgres it tells how many there are and may be", async () => {
    const samples = await told();
    expect(samples['downbeat_postgres_connections{state="max"}']).toBe(10);
    expect(samples['downbeat_postgres_connections{state="open"}']).toBeGreaterThan(0);
  });
});

describe("with METRICS_PORT", () => {
  test("metrics and probes are there, and the public port knows no /metrics", async () => {
    const other = await startOther({ METRICS_PORT: 0 });
    try {
      expect((await fetch(`${other.url}/metrics`)).status).toBe(404);
      const samples = await told(other.operationsUrl);
      expect(samples).toMatchObject({ downbeat_postgres_up: 1, nodejs_eventloop_lag_p99_seconds: expect.any(Number) });
      for (const probe of ["livez", "readyz"]) expect((await fetch(`${other.operationsUrl}/${probe}`)).status).toBe(200);
      expect((await fetch(`${other.operationsUrl}/api/v1/schedules`)).status).toBe(404);
    } finally {
      await other.close();
    }
  });

  test("scrapes at the same time share one reading of the database", async () => {
    const other = await startOther({ METRICS_PORT: 0 });
    try {
      const readings = async () => {
        const [row] = await api.admin<{ count: number }[]>`
          select count(*)::int as count from pg_stat_activity
          where datname = current_database() and application_name = 'downbeat-api' and state <> 'idle'`;
        return row?.count ?? 0;
      };
      // Holds the reading at its statement about passes until all have asked.
      const blocker = await api.admin.reserve();
      await blocker`begin`;
      await blocker`lock table downbeat.dispatch_passes in access exclusive mode`;
      const answers = Promise.all(Array.from({ length: 5 }, () => told(other.operationsUrl)));
      await until("a reading to wait", async () => (await readings()) > 0);
      expect(await readings()).toBe(1);
      await blocker`rollback`;
      blocker.release();
      for (const samples of await answers) expect(samples["downbeat_postgres_up"]).toBe(1);
    } finally {
      await other.close();
    }
  });

  test("without Postgres a scrape answers in time with what is known, probes stay good, and all is well again by itself", async () => {
    const url = new URL(api.database.url);
    const link = await startLink({ host: url.hostname, port: Number(url.port) });
    url.host = `127.0.0.1:${link.port}`;
    const other = await startOther({ METRICS_PORT: 0, DATABASE_URL: url.href, SQS_QUEUE_URL: queueUrl, AWS_ENDPOINT_URL: sqs.endpoint });
    try {
      expect((await told(other.operationsUrl))["downbeat_postgres_up"]).toBe(1);
      link.cut();
      const startedAtMs = performance.now();
      const samples = await told(other.operationsUrl);
      expect(performance.now() - startedAtMs).toBeLessThan(3_000);
      expect(samples).toMatchObject({ downbeat_postgres_up: 0, downbeat_queue_up: 1 });
      expect(Object.keys(samples).filter((series) => /pass|due|overdue|audit/.test(series))).toEqual([]);
      for (const probe of ["livez", "readyz"]) expect((await fetch(`${other.operationsUrl}/${probe}`)).status).toBe(200);
      await link.mend();
      await until("Postgres to be up again", async () => (await told(other.operationsUrl))["downbeat_postgres_up"] === 1);
    } finally {
      await other.close();
      link.cut();
    }
  });

  test("a Postgres that does not answer costs a scrape its time limit and no more", async () => {
    const other = await startOther({ METRICS_PORT: 0 });
    const blocker = await api.admin.reserve();
    try {
      await blocker`begin`;
      await blocker`lock table downbeat.dispatch_passes in access exclusive mode`;
      const startedAtMs = performance.now();
      expect((await told(other.operationsUrl))["downbeat_postgres_up"]).toBe(0);
      expect(performance.now() - startedAtMs).toBeLessThan(3_000);
    } finally {
      await blocker`rollback`;
      blocker.release();
      await other.close();
    }
  });
});

test("nothing of a tenant and no secret is in what is told", async () => {
  const other = await startOther({ METRICS_PORT: 0, SQS_QUEUE_URL: queueUrl, AWS_ENDPOINT_URL: sqs.endpoint });
  try {
    await fetch(`${other.url}/api/v1/schedules/acme-invoices?name=acme`, { headers: { authorization: `Bearer ${acme.key}` } });
    const text = await (await fetch(`${other.operationsUrl}/metrics`)).text();
    const { password } = new URL(api.database.url);
    for (const secret of [
      "acme",
      acme.id,
      acme.key,
      api.adminKey,
      api.config.DOWNBEAT_SECRET_KEYS,
      ...(password === "" ? [] : [password]),
    ]) {
      expect(text).not.toContain(secret);
    }
  } finally {
    await other.close();
  }
});
