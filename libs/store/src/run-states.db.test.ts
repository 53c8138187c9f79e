import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { arrangeRun, arrangeSchedule } from "./runs.test-support.ts";
import { finalRunStates, runStates } from "./run-states.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("the states of the program are exactly those the schema allows", async () => {
  const [row] = await database.admin<{ rule: string }[]>`
    select pg_get_constraintdef(oid) as rule from pg_constraint where conrelid = 'downbeat.runs'::regclass and conname = 'runs_state_check'`;
  const allowed = [...(row?.rule ?? "").matchAll(/'([a-z]+)'/g)].map(([, state]) => state);
  expect(allowed.toSorted()).toEqual(runStates.toSorted());
});

test("a state that is not in the list cannot be written", async () => {
  const schedule = await arrangeSchedule(database.admin);
  await expect(arrangeRun(database.admin, schedule, { state: "dead" as never })).rejects.toMatchObject({ code: "23514" });
});

test("a run is over in exactly the five final states", () => {
  expect(runStates.filter((state) => !finalRunStates.has(state))).toEqual(["pending", "queued", "running", "retrying"]);
});
