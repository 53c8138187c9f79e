import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PassRecord, recordPass } from "./record-pass.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const startedAt = Date.now() - 1_000;
const pass: PassRecord = {
  dispatcher: "d",
  startedAt,
  finishedAt: startedAt + 250,
  claimed: 1,
  missed: 2,
  sent: 3,
  sendFailed: 4,
  swept: 5,
  error: null,
};

const recorded = () => database.admin`
  select dispatcher, claimed, missed, sent, send_failed as "sendFailed", swept, error, (extract(epoch from finished_at - started_at) * 1000)::float8 as ms
  from downbeat.dispatch_passes order by dispatcher`;

test("a pass is kept with what it did, also one that failed", async () => {
  const dispatcher = database.connectAs("downbeat_dispatcher", 1);
  await recordPass(dispatcher, pass);
  await recordPass(dispatcher, { ...pass, dispatcher: "e", error: "connection refused" });
  const { startedAt: _startedAt, finishedAt: _finishedAt, ...counts } = pass;
  expect([...(await recorded())]).toEqual([
    { ...counts, ms: 250 },
    { ...counts, ms: 250, dispatcher: "e", error: "connection refused" },
  ]);
});

test("passes of more than a week ago are forgotten by the next one, younger ones are not", async () => {
  await database.admin`
    insert into downbeat.dispatch_passes (dispatcher, started_at, finished_at, claimed, missed, sent, send_failed, swept)
    select 'before ' || name, now() - age, now() - age, 0, 0, 0, 0, 0
    from (values ('old', interval '7 days 1 minute'), ('young', interval '6 days 23 hours')) as given (name, age)`;
  await recordPass(database.connectAs("downbeat_dispatcher", 1), pass);
  const dispatchers = (await recorded()).map(({ dispatcher }) => dispatcher as string);
  expect(dispatchers.filter((dispatcher) => dispatcher.startsWith("before"))).toEqual(["before young"]);
});
