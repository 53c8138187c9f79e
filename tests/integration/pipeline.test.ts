import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { startQueueServer, type TestQueueServer } from "@downbeat/queue/queue-server.test-support.ts";
import { dispatcherConfig } from "@downbeat/dispatcher/config.ts";
import { runDispatcher } from "@downbeat/dispatcher/run.ts";
import { executorConfig } from "@downbeat/executor/config.ts";
import { runExecutor } from "@downbeat/executor/run.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { readConfig } from "@downbeat/runtime/config.ts";
import { arrangeEndpoint, arrangeSchedules, databaseNow, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";

let database: TestDatabase;
let sqs: TestQueueServer;
let environment: Record<string, string>;
const log = createLog("test", process.env["TEST_LOG_LEVEL"] ?? "error");

beforeAll(async () => {
  database = await createTestDatabase();
  sqs = await startQueueServer();
  const client = createQueueClient({ region: "us-east-1", endpoint: sqs.endpoint, socketsMax: 2 });
  const queues = await createQueues(client, sqs.queueName("pipeline"), 60);
  client.destroy();
  environment = {
    DATABASE_URL: database.url,
    SQS_QUEUE_URL: queues.queueUrl,
    AWS_ENDPOINT_URL: sqs.endpoint,
    DOWNBEAT_SECRET_KEYS: testSecretKeys,
    ALLOW_PRIVATE_TARGETS: "true",
    DISPATCH_FOR_SECONDS: "0",
  };
});

afterAll(async () => {
  await sqs.stop();
  await database.drop();
});

test("a due schedule becomes one signed call that the stock library verifies, never before its instant, and is recorded", async () => {
  const receiver = await startReceiver();
  const endpoint = await arrangeEndpoint(database.admin, receiver.url);
  const dueAt = Math.ceil(await databaseNow(database.admin)) + 1_500;
  const [scheduleId] = await arrangeSchedules(database.admin, endpoint, {
    rule: { kind: "once", runAt: dueAt },
    nextRunAt: dueAt,
    input: { hello: "world" },
  });
  const executor = await runExecutor(readConfig(executorConfig, environment), { log });
  const dispatcher = await runDispatcher(readConfig(dispatcherConfig, environment), { log });
  await dispatcher.ended;
  await dispatcher.close();
  const [call] = await receiver.received(1);
  await executor.close();

  expect(call?.atMs).toBeGreaterThanOrEqual(dueAt);
  const body = new Webhook(endpoint.secret).verify(call?.body ?? "", call?.headers as Record<string, string>) as Record<string, unknown>;
  const rows =
    await database.admin`select id, state, attempt, http_status, lease_token from downbeat.runs where schedule_id = ${scheduleId ?? ""}`;
  expect(rows).toMatchObject([{ state: "succeeded", attempt: 1, http_status: 204, lease_token: null }]);
  expect(body).toMatchObject({ run_id: rows[0]?.["id"], schedule_id: scheduleId, attempt: 1, input: { hello: "world" } });
  expect(call?.headers["webhook-id"]).toBe(rows[0]?.["id"]);
  const attempts = await database.admin`select outcome, http_status from downbeat.attempts where run_id = ${rows[0]?.["id"]}`;
  expect(attempts).toMatchObject([{ outcome: "success", http_status: 204 }]);
  const [schedule] = await database.admin`select completed_at from downbeat.schedules where id = ${scheduleId ?? ""}`;
  expect(schedule?.["completed_at"]).not.toBeNull();
  await receiver.close();
});
