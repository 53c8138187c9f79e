import { expect, test } from "vitest";
import { toChanges } from "./schedules-update.ts";

test("only what was given is changed", () => {
  expect(toChanges({ spread: "15m" })).toEqual({ spread: "15m" });
  expect(toChanges({ name: "new", endpoint: "other" })).toEqual({ name: "new", endpoint: "other" });
  // The target is read before it is changed.
  expect(toChanges({ path: "/x" })).toEqual({});
});

test("saying nothing, or when twice, is wrong usage: exit code 2", () => {
  expect(() => toChanges({})).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringContaining("say what to change") }));
  expect(() => toChanges({ cron: "* * * * *", every: "5m" })).toThrow(
    expect.objectContaining({ exitCode: 2, message: "say when: one of --cron and --every, not 2" }),
  );
});
