import type { Explanation } from "@downbeat/cli/api-answers.ts";
import { buildProgram } from "@downbeat/cli/program.ts";
import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
import { type DispatcherConfig, dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { runPass } from "@downbeat/dispatcher/pass.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { createQueueClient, type QueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import type { RunningService } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { type Receiver, startReceiver } from "@downbeat/testkit/receiver.ts";
import { until } from "@downbeat/testkit/until.ts";
import { nextClockChange, zoneOf } from "@downbeat/timing/zone.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

/**
 * Everything that can become of an occurrence is made to happen by the real parts, a pass at a time, and then explained as JSON and as the page that people read. Where it takes a downtime, the
 * schedule is made older and its watermark is put back: as if no dispatcher had come by since.
 */
let api: TestApi;
let tenant: TestTenant;
let dispatcher: Sql;
let sqs: TestQueueServer;
let queue: QueueClient;
let config: DispatcherConfig;
let receiver: Receiver;
let executor: RunningService;
/** Ends the calls that the receiver is holding. */
const held: (() => void)[] = [];
const log = createLog("test", "error");

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.addTenant("acme");
  dispatcher = api.database.connectAs("downbeat_dispatcher");
  sqs = await startQueueServer();
  queue = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 4 });
  const { queueUrl } = await createQueues(queue, sqs.queueName("explain"), 60);
  const environment = {
    DATABASE_URL: api.database.url,
    SQS_QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: api.config.DOWNBEAT_SECRET_KEYS,
    ALLOW_PRIVATE_TARGETS: "true",
  };
  config = readConfig(dispatcherConfig, environment);
  receiver = await startReceiver((call, response) => {
    if (call.path.endsWith("/slow")) held.push(() => response.writeHead(204).end());
    else if (call.path.endsWith("/no")) response.writeHead(400).end("no such order");
    else if (call.path.endsWith("/busy")) response.writeHead(503).end("come back later");
    else response.writeHead(204).end();
  });
  await api.call("POST", "/api/v1/endpoints", { key: tenant.key, body: { name: "receiver", base_url: receiver.url } });
  executor = await runExecutor(readConfig(executorConfig, environment), { log });
});
afterAll(async () => {
  for (const end of held) end();
  await executor.close();
  await receiver.close();
  queue.destroy();
  await sqs.stop();
  await api.close();
});

/** One pass of a dispatcher: what it claims is in the ledger and in the queue when it returns. */
function pass(): Promise<unknown> {
  const options = { sql: dispatcher, queue, clock: systemClock, log, config, dispatcher: "dispatcher-1" };
  return runPass({ ...options, signal: new AbortController().signal });
}

interface Created {
  id: string;
  name: string;
  next_run_at: string;
}

async function create(name: string, fields: Record<string, unknown>, key = tenant.key): Promise<Created> {
  const { status, body } = await api.call("POST", "/api/v1/schedules", { key, body: { name, endpoint: "receiver", ...fields } });
  expect({ status, body }).toMatchObject({ status: 201 });
  return body;
}

/** Makes a schedule look as if it had been created long ago and nobody had looked at it since `watermark`. */
async function neglect({ id }: Created, watermark: number): Promise<void> {
  const createdAt = new Date(watermark - 400 * dayMs);
  await api.admin`update downbeat.schedules set created_at = ${createdAt} where id = ${id}`;
  await api.admin`update downbeat.schedule_events set at = ${createdAt} where schedule_id = ${id} and event = 'created'`;
  await api.admin`update downbeat.schedule_due set next_run_at = ${new Date(watermark)}, scheduled_for = null where schedule_id = ${id}`;
}

interface Ledger {
  id: string;
  state: string;
  reason: string | null;
  at: Date;
}

function ledgerOf({ id }: Created): Promise<Ledger[]> {
  return api.admin<
    Ledger[]
  >`select id, state, reason, scheduled_for as at from downbeat.runs where schedule_id = ${id} order by scheduled_for`;
}

function inState(schedule: Created, state: string): Promise<Ledger> {
  return until(`a run of ${schedule.name} is ${state}`, async () => (await ledgerOf(schedule)).find((run) => run.state === state));
}

/** What a command of the CLI prints. */
async function downbeat(key: string, ...parameters: string[]): Promise<string> {
  const lines: string[] = [];
  const environment = { DOWNBEAT_URL: api.url, DOWNBEAT_API_KEY: key };
  const program = buildProgram({ environment, print: (line) => void lines.push(line), remark: () => {} });
  await program.parseAsync(parameters, { from: "user" });
  return lines.join("\n");
}

type Explained = Explanation & { page: string };

/** The answer, and the page that the CLI makes of it. */
async function explain({ id }: Pick<Created, "id">, at: string | number | Date, key = tenant.key): Promise<Explained> {
  const asked = typeof at === "string" ? at : new Date(at).toISOString();
  const { status, body } = await api.call("GET", `/api/v1/schedules/${id}/explain?at=${encodeURIComponent(asked)}`, { key });
  expect({ status, body }).toMatchObject({ status: 200 });
  const page = await downbeat(key, "explain", id, asked);
  return { ...body, page };
}

/** Line breaks of a page come from its width. */
function words(page: string): string {
  return page.replaceAll(/\s+/g, " ");
}

function stepOf({ steps }: Explanation, name: string) {
  return steps.find(({ step }) => step === name);
}

function refusals({ steps }: Explanation): string[] {
  return steps.filter(({ passed }) => !passed).map(({ step }) => step);
}

function fromNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** A second after the schedule's epoch that lies `ms` from now: an occurrence of one that runs each second. */
function secondFromNow({ next_run_at: next }: Created, ms: number): Date {
  const first = Date.parse(next);
  return new Date(first + Math.ceil((Date.now() + ms - first) / 1_000) * 1_000);
}

async function databaseClockPasses(at: Date): Promise<void> {
  await until(
    `it is ${at.toISOString()}`,
    async () => (await api.admin`select 1 from (select clock_timestamp() > ${at} as past) as now where past`).length > 0,
  );
}

test("fired: when it was called, how late, and with what answer", async () => {
  const schedule = await create("fired", { run_at: fromNow(1_500) });
  await pass();
  const run = await inState(schedule, "succeeded");
  const answer = await explain(schedule, run.at);
  expect(answer).toMatchObject({
    outcome: "fired",
    run: { id: run.id, state: "succeeded", http_status: 204 },
    schedule: { id: schedule.id, name: "fired" },
  });
  expect(answer.headline).toMatch(
    /^The occurrence of \S+Z ran and succeeded with HTTP 204: it was called at \S+Z, (.+ after|exactly at) its time\.$/,
  );
  expect(refusals(answer)).toEqual([]);
  expect(answer.steps.map(({ step }) => step)).toEqual(["schedule", "rule", "pattern", "pause", "queue", "attempts", "outcome"]);
  expect(stepOf(answer, "queue")?.data).toMatchObject({
    claimed_at: expect.any(String),
    queued_at: expect.any(String),
    lag_ms: expect.any(Number),
  });
  expect(words(answer.page).startsWith(answer.headline)).toBe(true);
  expect(answer.page).toMatch(/ATTEMPT {2}OUTCOME {2}CODE {2}HTTP {2}STARTED +TOOK {2}ANSWER\n +1 {2}success +- +204/);
});

test("both commands print one page, or the API's answer as JSON", async () => {
  const { id, name, next_run_at: at } = await create("printed", { run_at: fromNow(7 * dayMs) });
  const { body } = await api.call("GET", `/api/v1/schedules/${id}/explain?at=${at}`, { key: tenant.key });
  const { headline: _headline, ...answer } = body;
  for (const command of [
    ["explain", name, at],
    ["schedules", "explain", name, "--at", at],
  ]) {
    expect(JSON.parse(await downbeat(tenant.key, ...command, "--json"))).toMatchObject(answer);
    const lines = (await downbeat(tenant.key, ...command)).split("\n");
    expect(lines[0]).toMatch(/^The occurrence of /);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(110);
  }
});

test("fired in vain: the code of the last attempt and why no other follows, or when one does", async () => {
  const refused = await create("refused", { run_at: fromNow(800), target: { path: "/no" } });
  const busy = await create("busy", { run_at: fromNow(800), target: { path: "/busy" } });
  await pass();
  const answer = await explain(refused, (await inState(refused, "failed")).at);
  expect(answer).toMatchObject({ outcome: "fired", run: { state: "failed", reason: "rejected" } });
  expect(answer.headline).toMatch(
    /ran and failed after 1 attempt, the last one at \S+Z with http_400: the target answered that it will never accept this request\.$/,
  );
  expect(refusals(answer)).toEqual(["attempts", "outcome"]);
  expect(words(answer.page)).toContain("no such order");
  const again = await explain(busy, (await inState(busy, "retrying")).at);
  expect(again).toMatchObject({ outcome: "fired", run: { state: "retrying" } });
  expect(again.headline).toMatch(/has failed once so far, the last one at \S+Z with http_503; it is tried again at \S+Z\.$/);
});

test("skipped by overlap: names the run that held its place, whether it goes on or has ended", async () => {
  const schedule = await create("overlapping", { interval_seconds: 1, target: { path: "/slow" } });
  const skipped = await until("a run is skipped", async () => {
    await pass();
    return (await ledgerOf(schedule)).find(({ reason }) => reason === "overlap");
  });
  const holder = await inState(schedule, "running");
  const answer = await explain(schedule, skipped.at);
  expect(answer).toMatchObject({ outcome: "skipped_overlap", run: { id: skipped.id, state: "skipped", blocked_by: holder.id } });
  expect(answer.headline).toContain(
    `was skipped, because run ${holder.id} of ${holder.at.toISOString().replace(".000", "")} was under way: it started at `,
  );
  expect(answer.headline).toContain("and is still running");
  expect(stepOf(answer, "overlap")).toMatchObject({
    passed: false,
    data: { overlap: "skip", blocked_by: holder.id, blocked_by_state: "running" },
  });
  expect(answer.previous).toMatchObject({ at: new Date(skipped.at.getTime() - 1_000).toISOString() });
  await api.call("POST", `/api/v1/schedules/${schedule.id}/pause`, { key: tenant.key });
  for (const end of held.splice(0)) end();
  await inState(schedule, "succeeded");
  const later = await explain(schedule, skipped.at);
  expect(later.headline).toMatch(/and ended at \S+Z \(succeeded\)\.$/);
  expect(words(later.page)).toContain(`no overlap The overlap policy is "skip", and run ${holder.id}`);
});

test("still queued, waiting: behind which run it waits for its turn", async () => {
  const schedule = await create("in-line", { interval_seconds: 1, overlap: "queue_one", target: { path: "/slow" } });
  const waiting = await until("a run waits", async () => {
    await pass();
    return (await ledgerOf(schedule)).find(({ state, reason }) => state === "pending" && reason === "overlap");
  });
  const holder = await inState(schedule, "running");
  const answer = await explain(schedule, waiting.at);
  expect(answer).toMatchObject({ outcome: "queued", run: { id: waiting.id, state: "pending", blocked_by: holder.id } });
  expect(answer.headline).toContain(
    `has been waiting for its turn since ${waiting.at.toISOString().replace(".000", "")}, because run ${holder.id}`,
  );
  await api.call("POST", `/api/v1/schedules/${schedule.id}/pause`, { key: tenant.key });
  for (const end of held.splice(0)) end();
  // Whoever recorded the first call has put the waiting run into the next pass.
  await until("the second call is there", async () => {
    await pass();
    return held.length > 0;
  });
  for (const end of held.splice(0)) end();
  const ran = await until("it has run", async () =>
    (await ledgerOf(schedule)).find(({ id, state }) => id === waiting.id && state === "succeeded"),
  );
  const later = await explain(schedule, ran.at);
  expect(later.outcome).toBe("fired");
  expect(stepOf(later, "overlap")).toMatchObject({
    passed: true,
    text: expect.stringMatching(/it waited from \S+Z behind run \S+ of \S+Z, and then was let in\.$/),
  });
});

test("after a downtime: missed by grace, coalesced into the newest, and the newest run late, each with the row, the policy and how late the dispatcher was", async () => {
  const firstAt = Math.floor(Date.now() / 1_000) * 1_000 - 9.5 * hourMs;
  const schedule = await create("neglected", {
    interval_seconds: 3_600,
    anchor_at: new Date(firstAt - hourMs).toISOString(),
    grace_seconds: 7_200,
  });
  await neglect(schedule, firstAt);
  const due = await explain(schedule, firstAt);
  expect(due.outcome).toBe("overdue");
  expect(due.headline).toMatch(
    /was to start 9 h 3\d min ago and no dispatcher has evaluated it yet; the dispatchers' last pass ended at \S+Z, .+ ago\.$/,
  );
  await pass();
  const newest = await inState(schedule, "succeeded");
  const [graced, coalesced] = await ledgerOf(schedule);

  const answer = await explain(schedule, firstAt + 2 * hourMs);
  expect(answer).toMatchObject({ outcome: "missed_grace", run: { id: graced?.id, state: "missed", range_count: 8 } });
  expect(answer.headline).toMatch(
    /was missed: no dispatcher evaluated it until \S+Z, 7 h 3\d min after its time, which is more than the schedule's grace of 2 h\.$/,
  );
  expect(stepOf(answer, "misfire")).toMatchObject({
    passed: false,
    data: {
      misfire: "latest",
      grace_seconds: 7_200,
      row: graced?.id,
      range_from: new Date(firstAt).toISOString(),
      range_to: graced?.at.toISOString(),
      range_count: 8,
    },
  });
  expect(words(answer.page)).toContain(`It is one row for 8 occurrences, from ${new Date(firstAt).toISOString().replace(".000", "")} to`);
  expect([answer.previous?.outcome, answer.next?.outcome]).toEqual(["missed_grace", "missed_grace"]);

  const older = await explain(schedule, firstAt + 8 * hourMs);
  expect(older).toMatchObject({ outcome: "missed_coalesced", run: { id: coalesced?.id } });
  expect(older.headline).toContain(`misfire "latest" runs only the newest, run ${newest.id} of`);

  const late = await explain(schedule, firstAt + 9 * hourMs);
  expect(late).toMatchObject({ outcome: "fired", run: { id: newest.id } });
  expect(stepOf(late, "misfire")).toMatchObject({ passed: true, text: expect.stringMatching(/3\d min( \d+ s)? after its time/) });

  const between = await explain(schedule, firstAt + 2 * hourMs + 1_000);
  expect(between).toMatchObject({ outcome: "never_matched", run: null });
});

test("paused: by whom, since when and why, while it lasts and when it is over", async () => {
  const schedule = await create("on-hold", { interval_seconds: 1 });
  const pause = await api.call("POST", `/api/v1/schedules/${schedule.id}/pause`, { key: tenant.key, body: { reason: "stocktaking" } });
  const inPause = secondFromNow(schedule, 0);
  const ahead = await explain(schedule, inPause.getTime() + 1_000_000);
  expect(ahead.headline).toContain("will not run, because the schedule has been paused since");
  await databaseClockPasses(inPause);
  const answer = await explain(schedule, inPause);
  expect(answer).toMatchObject({ outcome: "paused", run: null });
  expect(answer.headline).toBe(
    `The occurrence of ${inPause.toISOString().replace(".000Z", "Z")} did not run, because the schedule has been paused since ${pause.body.paused_at}, until somebody resumes it: "stocktaking".`,
  );
  expect(stepOf(answer, "pause")).toMatchObject({
    passed: false,
    data: { reason: "stocktaking", paused_by: expect.stringMatching(/^key /) },
  });
  await api.call("POST", `/api/v1/schedules/${schedule.id}/resume`, { key: tenant.key });
  const later = await explain(schedule, inPause);
  expect(later).toMatchObject({ outcome: "paused", run: { state: "skipped", reason: "paused" } });
  expect(later.headline).toMatch(/was skipped, because the schedule was paused from \S+Z until \S+Z: "stocktaking"\.$/);
  expect(words(later.page)).toContain('By on_resume "skip" what falls into a pause is skipped.');
  await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: tenant.key });
});

test("paused: a run that was claimed ahead and withdrawn by the pause", async () => {
  const schedule = await create("withdrawn", { run_at: fromNow(50_000) });
  await pass();
  await api.call("POST", `/api/v1/schedules/${schedule.id}/pause`, { key: tenant.key, body: { reason: "not today" } });
  const answer = await explain(schedule, schedule.next_run_at);
  expect(answer).toMatchObject({ outcome: "paused", run: { state: "canceled", reason: "schedule_changed" } });
  expect(answer.headline).toMatch(/was withdrawn at \S+Z, [\d.]+ s before its time, because the schedule was paused: "not today"\.$/);
});

/** The last time that New York's clocks were put forward, and the day of it. */
function lastGap(): { changeAt: number; day: string; cron: (hour: number) => string } {
  const zone = zoneOf("America/New_York");
  const isForward = (change: { offsetBeforeMs: number; offsetAfterMs: number }) => change.offsetAfterMs > change.offsetBeforeMs;
  let found = nextClockChange(zone, Date.now() - 390 * dayMs, Date.now());
  for (let change = found; change !== null; change = nextClockChange(zone, change.at, Date.now())) if (isForward(change)) found = change;
  if (found === null) throw new Error("New York has stopped changing its clocks");
  const day = new Date(found.at).toISOString().slice(0, 10);
  const [, month, date] = day.split("-").map(Number);
  return { changeAt: found.at, day, cron: (hour) => `30 ${hour} ${date} ${month} *` };
}

test("DST gap, skipped: by local time, with the offset of before, and at the jump itself", async () => {
  const { changeAt, day, cron } = lastGap();
  const schedule = await create("gap-skipped", { cron_expression: cron(2), timezone: "America/New_York", dst_gap: "skip" });
  await neglect(schedule, Date.parse(schedule.next_run_at));
  const answer = await explain(schedule, `${day}T02:30`);
  expect(answer).toMatchObject({
    outcome: "dst_gap",
    at: new Date(changeAt).toISOString(),
    asked: `${day}T02:30`,
    timezone: "America/New_York",
    run: null,
  });
  expect(answer.headline).toBe(
    `The clocks of America/New_York never show ${day}T02:30:00: they go from ${day}T02:00:00 to ${day}T03:00:00 at ${new Date(changeAt).toISOString().replace(".000", "")}; by dst_gap skip its slot does not run.`,
  );
  expect(refusals(answer)).toEqual(["zone", "outcome"]);
  expect(answer.page).toContain(`(asked for as ${day}T02:30)`);
  for (const at of [`${day}T02:30:00-05:00`, changeAt])
    expect(await explain(schedule, at)).toMatchObject({ outcome: "dst_gap", headline: answer.headline });
  expect(await explain(schedule, `${day}T02:45`)).toMatchObject({ outcome: "never_matched" });
});

test("DST gap, moved: the slot that no clock shows is followed to where it ran", async () => {
  const { changeAt, day, cron } = lastGap();
  const schedule = await create("gap-moved", { cron_expression: cron(2), timezone: "America/New_York", grace_seconds: null });
  await neglect(schedule, changeAt);
  await pass();
  const run = await inState(schedule, "succeeded");
  const answer = await explain(schedule, `${day}T02:30`);
  expect(answer).toMatchObject({ outcome: "fired", at: new Date(changeAt).toISOString(), run: { id: run.id, state: "succeeded" } });
  expect(answer.headline).toContain(`(for ${day}T02:30:00, which the clocks of America/New_York skip) ran and succeeded`);
  expect(stepOf(answer, "zone")).toMatchObject({ passed: true, data: { dst_gap: "run_at_gap_end" } });
  expect(words(answer.page)).toContain(`never show ${day}T02:30:00`);
  expect(words(answer.page)).toContain(
    `by dst_gap run_at_gap_end its slot runs at ${new Date(changeAt).toISOString().replace(".000", "")}.`,
  );
});

test("calendar hole: which calendar", async () => {
  const firstAt = Math.floor(Date.now() / 1_000) * 1_000 - 3.5 * hourMs;
  const period = `${new Date(firstAt + hourMs).toISOString()}/${new Date(firstAt + 2 * hourMs).toISOString()}`.replaceAll(".000Z", "Z");
  const [calendar] = await api.admin<{ id: string }[]>`
    insert into downbeat.calendars (tenant_id, name, kind, entries) values (${tenant.id}, 'stocktaking', 'blackout', ${api.admin.json([period])}) returning id`;
  const anchor = new Date(firstAt - hourMs).toISOString();
  const schedule = await create("with-holes", {
    interval_seconds: 3_600,
    anchor_at: anchor,
    misfire: "all",
    overlap: "allow",
    calendars: [calendar?.id],
  });
  await neglect(schedule, firstAt);
  await pass();
  expect((await ledgerOf(schedule)).map(({ at }) => at.getTime() - firstAt)).toEqual([0, 2 * hourMs, 3 * hourMs]);
  const answer = await explain(schedule, firstAt + hourMs);
  expect(answer).toMatchObject({ outcome: "calendar", run: null });
  expect(answer.headline).toContain('the calendar "stocktaking" is a blackout then; the occurrence before was at');
  expect(refusals(answer)).toEqual(["calendar", "outcome"]);
  expect(stepOf(answer, "calendar")?.data).toEqual({ calendars: [{ name: "stocktaking", kind: "blackout" }] });
  expect(answer.page).toMatch(/no {2}calendar/);
});

test("canceled by edit: who changed what, and under which rule it had been claimed", async () => {
  const schedule = await create("edited", { run_at: fromNow(50_000) });
  await pass();
  await inState(schedule, "queued");
  const runAt = fromNow(2 * hourMs);
  await api.call("PATCH", `/api/v1/schedules/${schedule.id}`, { key: tenant.key, body: { run_at: runAt } });
  const answer = await explain(schedule, schedule.next_run_at);
  expect(answer).toMatchObject({ outcome: "canceled_by_edit", run: { state: "canceled", reason: "schedule_changed" } });
  expect(answer.headline).toMatch(
    /was withdrawn at \S+Z, [\d.]+ s before its time, because the schedule was edited by key \S+, who changed run_at from/,
  );
  expect(answer.headline).toContain(`from "${schedule.next_run_at}" to "${runAt}".`);
  expect(stepOf(answer, "rule")?.text).toContain(
    `It was claimed while the rule was once at ${schedule.next_run_at}, which was edited before its time.`,
  );
  expect(words(answer.page)).toContain(answer.headline);
  expect(await explain(schedule, runAt)).toMatchObject({ outcome: "not_yet_due" });
});

test("never matched: what the rule says, and the occurrences on either side with what became of them", async () => {
  const schedule = await create("nightly", { cron_expression: "0 2 * * *", timezone: "Europe/Berlin", misfire: "all" });
  const next = Date.parse(schedule.next_run_at);
  await neglect(schedule, next);
  const answer = await explain(schedule, next + hourMs);
  expect(answer).toMatchObject({ outcome: "never_matched", run: null, previous: { at: schedule.next_run_at, outcome: "not_yet_due" } });
  expect(answer.headline).toMatch(
    /^Nothing is to run at \S+Z: "0 2 \* \* \*" does not match \S+T03:00:00 in Europe\/Berlin; the occurrence before is at \S+, the next is at \S+\.$/,
  );
  expect(refusals(answer)).toEqual(["pattern", "outcome"]);
  expect(words(answer.page)).toContain("before not_yet_due: The occurrence of");
});

test("still queued: claimed ahead of its time", async () => {
  const schedule = await create("ahead", { run_at: fromNow(50_000) });
  await pass();
  await inState(schedule, "queued");
  const answer = await explain(schedule, schedule.next_run_at);
  expect(answer).toMatchObject({ outcome: "queued", run: { state: "queued" } });
  expect(answer.headline).toMatch(
    /is on its way: it was claimed at \S+Z and handed to the queue at \S+Z; it starts at \S+Z, in [\d.]+ s\.$/,
  );
  expect(answer.page).toMatch(/ok {2}queue/);
});

test("not yet due, before creation, before its start and after its end", async () => {
  const [startsAt, endsAt] = [fromNow(10 * dayMs), fromNow(20 * dayMs)];
  const schedule = await create("bounded", { cron_expression: "0 * * * *", starts_at: startsAt, ends_at: endsAt });
  const answer = await explain(schedule, schedule.next_run_at);
  expect(answer).toMatchObject({ outcome: "not_yet_due", run: null });
  expect(answer.headline).toMatch(/is still to come: it will start at \S+Z, in (9 d 23 h|10 d|10 d 1 h)\.$/);
  const hour = (days: number) => Math.floor((Date.now() + days * dayMs) / hourMs) * hourMs;
  const before = await explain(schedule, hour(-1));
  expect(before).toMatchObject({ outcome: "not_yet_created", previous: null });
  expect(before.headline).toMatch(/^Nothing could run at \S+Z, because the schedule was created at \S+Z, .+ later\.$/);
  const early = await explain(schedule, hour(5));
  expect(early).toMatchObject({ outcome: "before_start", next: { at: schedule.next_run_at } });
  expect(early.headline).toContain(`the rule starts at ${startsAt}`);
  const late = await explain(schedule, hour(30));
  expect(late).toMatchObject({ outcome: "after_end", next: null });
  expect(late.headline).toContain(`the rule ends at ${endsAt}`);
  expect(refusals(late)).toEqual(["bounds", "outcome"]);
});

test("maintenance: while it is on and when it is over", async () => {
  const guest = await api.addTenant("under-repair");
  await api.call("POST", "/api/v1/endpoints", { key: guest.key, body: { name: "receiver", base_url: receiver.url } });
  const schedule = await create("kept-back", { interval_seconds: 1 }, guest.key);
  await api.admin`update downbeat.tenants set maintenance_from = now() - interval '1 minute', maintenance_reason = 'new racks' where id = ${guest.id}`;
  const inside = secondFromNow(schedule, 0);
  await databaseClockPasses(inside);
  await pass();
  const answer = await explain(schedule, inside, guest.key);
  expect(answer).toMatchObject({ outcome: "maintenance", run: null });
  expect(answer.headline).toMatch(
    /did not run, because its tenant is under maintenance from \S+Z, and nobody has said until when: "new racks"\.$/,
  );
  await api.admin`update downbeat.tenants set maintenance_until = now() where id = ${guest.id}`;
  await api.admin`update downbeat.schedule_due set next_run_at = now() where schedule_id = ${schedule.id}`;
  await pass();
  const later = await explain(schedule, inside, guest.key);
  expect(later).toMatchObject({ outcome: "maintenance", run: { state: "skipped", reason: "maintenance" } });
  expect(later.headline).toMatch(/was skipped, because its tenant was under maintenance from \S+Z until \S+Z: "new racks"\.$/);
  expect(refusals(later)).toEqual(["maintenance", "outcome"]);
  await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: guest.key });
});

test("a tenant's limit of the day: what it is and how much of it was used", async () => {
  const guest = await api.addTenant("thrifty");
  await api.call("POST", "/api/v1/endpoints", { key: guest.key, body: { name: "receiver", base_url: receiver.url } });
  await api.admin`update downbeat.tenants set runs_per_day_max = 2 where id = ${guest.id}`;
  const schedule = await create("rationed", { interval_seconds: 20 }, guest.key);
  await pass();
  const over = await inState(schedule, "skipped");
  const answer = await explain(schedule, over.at, guest.key);
  expect(answer).toMatchObject({ outcome: "skipped_budget", run: { state: "skipped", reason: "budget" } });
  expect(answer.headline).toContain("was skipped, because its tenant had used up its runs of the day (2 runs).");
  expect(stepOf(answer, "budget")).toMatchObject({ passed: false, data: { runs_per_day_max: 2, runs: 2 } });
});

test("completed: it had had all the runs it may have", async () => {
  const schedule = await create("numbered", { interval_seconds: 1, max_runs: 1 });
  const run = await until("its only run", async () => {
    await pass();
    return (await ledgerOf(schedule)).find(({ state }) => state === "succeeded");
  });
  await api.admin`update downbeat.schedule_due set scheduled_for = coalesce(scheduled_for, next_run_at), next_run_at = now() where schedule_id = ${schedule.id}`;
  await pass();
  for (const at of [run.at.getTime() + 1_000, Date.now() + dayMs - ((Date.now() - run.at.getTime()) % 1_000)]) {
    const answer = await explain(schedule, at);
    expect(answer).toMatchObject({ outcome: "completed", run: null });
    expect(answer.headline).toMatch(
      /(did|will) not run, because the schedule was completed at \S+Z, when it had had all the runs it may have\.$/,
    );
  }
  expect(await explain(schedule, run.at)).toMatchObject({ outcome: "fired" });
});

test("lost: an occurrence that was evaluated and has no row is said to be lost, and the self-audit is named", async () => {
  const firstAt = Math.floor(Date.now() / 1_000) * 1_000 - 2.5 * hourMs;
  const schedule = await create("robbed", {
    interval_seconds: 3_600,
    anchor_at: new Date(firstAt - hourMs).toISOString(),
    misfire: "all",
    overlap: "allow",
  });
  await neglect(schedule, firstAt);
  await pass();
  await until("all have run", async () => (await ledgerOf(schedule)).filter(({ state }) => state === "succeeded").length === 3);
  await api.admin`delete from downbeat.runs where schedule_id = ${schedule.id} and scheduled_for = ${new Date(firstAt + hourMs)}`;
  const answer = await explain(schedule, firstAt + hourMs);
  expect(answer).toMatchObject({ outcome: "lost", run: null, previous: { outcome: "fired" }, next: { outcome: "fired" } });
  expect(answer.headline).toContain("should be in the ledger and is not, and nothing explains that: look at the self-audit.");
  expect(words(answer.page)).toContain(answer.headline);
});

test("the rule of then is told from the journal when it has been edited since", async () => {
  const firstAt = Math.floor(Date.now() / hourMs) * hourMs - 2 * hourMs;
  const schedule = await create("revised", { cron_expression: "0 * * * *", timezone: "UTC", misfire: "all" });
  await neglect(schedule, firstAt);
  await pass();
  await api.call("PATCH", `/api/v1/schedules/${schedule.id}`, {
    key: tenant.key,
    body: { cron_expression: "30 4 * * *", timezone: "Asia/Tokyo" },
  });
  const answer = await explain(schedule, firstAt);
  expect(answer.outcome).not.toBe("never_matched");
  expect(stepOf(answer, "pattern")).toMatchObject({ passed: true, text: expect.stringContaining('"0 * * * *" matches') });
  expect(stepOf(answer, "rule")?.text).toMatch(
    /^The rule of then was "0 \* \* \* \*" in UTC; it has been edited since\. At \S+Z key \S+ changed timezone from "UTC" to "Asia\/Tokyo", cron_expression from "0 \* \* \* \*" to "30 4 \* \* \*"\.$/,
  );
  expect(answer.timezone).toBe("UTC");
  // After the downtime both were late, and only one could have its turn.
  expect(answer.next).toMatchObject({ at: new Date(firstAt + hourMs).toISOString(), outcome: "skipped_overlap" });
  expect(answer.next?.headline).toContain("was late as well and had the first turn");
  // A local time of then is read with the clocks of then.
  const local = await explain(schedule, new Date(firstAt).toISOString().slice(0, 16));
  expect(local).toMatchObject({ at: new Date(firstAt).toISOString(), outcome: answer.outcome });
});

test("spread: the nominal instant says when it starts, and the starting instant says of which occurrence it is", async () => {
  const schedule = await create("spread", { cron_expression: "0 0 1 * *", spread: "6h" });
  const { next_scheduled_for: nominal, next_run_at: effective } = (
    await api.call("GET", `/api/v1/schedules/${schedule.id}`, { key: tenant.key })
  ).body;
  const answer = await explain(schedule, nominal);
  expect(answer).toMatchObject({ outcome: "not_yet_due" });
  expect(stepOf(answer, "spread")?.data).toMatchObject({ nominal, effective });
  const other = await explain(schedule, effective);
  expect(other).toMatchObject({ outcome: "never_matched" });
  expect(other.headline).toContain(`is no occurrence but when the one of ${nominal.replace(".000", "")} starts`);
});

test("runs that were asked for by hand are shown beside what the rule made", async () => {
  const schedule = await create("by-hand", { cron_expression: "0 0 1 1 *" });
  const { body: run } = await api.call("POST", `/api/v1/schedules/${schedule.id}/run`, { key: tenant.key });
  const answer = await explain(schedule, run.scheduled_for);
  expect(answer).toMatchObject({ outcome: "never_matched", run: null, other_runs: [{ id: run.id, trigger: "manual" }] });
  expect(answer.page).toContain("in the same minute, beside the rule");
});

test("a deleted schedule is explained by its id", async () => {
  const schedule = await create("gone", { run_at: fromNow(50_000) });
  await pass();
  await api.call("DELETE", `/api/v1/schedules/${schedule.id}`, { key: tenant.key });
  const answer = await explain(schedule, schedule.next_run_at);
  expect(answer).toMatchObject({ outcome: "deleted", run: { state: "canceled" } });
  expect(answer.headline).toMatch(/was withdrawn at \S+Z, [\d.]+ s before its time, because the schedule was deleted\.$/);
});
