import { expect, test } from "vitest";
import { describeSchemaBehind } from "./schema-behind.ts";

const answer = (code: string, message: string) => Object.assign(new Error(message), { code });

test.for([
  ["22023", 'role "downbeat_executor" does not exist', "not there yet"],
  ["22023", 'invalid value for parameter "role": "downbeat_executor"', "not there yet"],
  ["3F000", 'schema "downbeat" does not exist', "not there yet"],
  ["42P01", 'relation "downbeat.runs" does not exist', "not there yet or older than this program"],
  ["42703", "column r.later does not exist", "older than this program"],
  ["42883", "function downbeat.later(integer) does not exist", "older than this program"],
] as const)("%s %s means that the schema is %s", ([code, message, what]) => {
  expect(describeSchemaBehind(answer(code, message))).toBe(`the schema is ${what} (${message}): waiting for \`downbeat migrate\``);
});

test("other errors say nothing of the schema", () => {
  for (const error of [
    answer("22023", "invalid time zone"),
    answer("42501", 'permission denied to set role "downbeat_api"'),
    new Error("42P01"),
    "42P01",
    null,
  ])
    expect(describeSchemaBehind(error)).toBeUndefined();
});
