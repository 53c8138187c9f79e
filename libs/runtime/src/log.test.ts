import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { expect, test } from "vitest";
import { describeError } from "./log.ts";

const canary = "whsec_canary";

test("secrets, passwords and authorization headers do not reach a line, wherever a line carries them", () => {
  const { log, lines } = captureLog();
  log.info({ secret: canary, secrets: [canary], password: canary, authorization: canary }, "own fields");
  log.info({ endpoint: { secret: canary, secrets: [canary], password: canary, authorization: canary } }, "fields of a part");
  log.info({ headers: { authorization: canary }, req: { headers: { authorization: canary } } }, "a request");
  expect(lines).toHaveLength(3);
  expect(JSON.stringify(lines)).not.toContain(canary);
  expect(lines[0]).toMatchObject({ secret: "[redacted]", msg: "own fields" });
});

test("of an error a line tells name, code and message, and nothing that a library hung on it", () => {
  const { log, lines } = captureLog();
  const error = Object.assign(new Error("connect ECONNREFUSED"), {
    code: "ECONNREFUSED",
    $request: { headers: { authorization: canary } },
  });
  log.warn({ err: error }, "cannot send");
  expect(lines[0]?.["err"]).toEqual({ name: "Error", code: "ECONNREFUSED", message: "connect ECONNREFUSED" });
});

test("a bug shows its stack, an outage does not", () => {
  const { log, lines } = captureLog();
  log.error({ err: new TypeError("undefined is not a function") }, "bug");
  log.error({ err: new Error("connection refused") }, "outage");
  expect(lines[0]?.["err"]).toHaveProperty("stack");
  expect(lines[1]?.["err"]).not.toHaveProperty("stack");
});

test("a line says which role wrote it, when, and its level by name", () => {
  const { log, lines } = captureLog();
  log.warn("late");
  expect(lines[0]).toMatchObject({ role: "test", level: "warn", msg: "late" });
  expect(lines[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("every error has a line of text, also one that keeps its message in its parts", () => {
  expect(describeError(new AggregateError([new Error("::1 refused"), new Error("127.0.0.1 refused")], ""))).toBe(
    "::1 refused; 127.0.0.1 refused",
  );
  expect(describeError(new Error(""))).toBe("Error");
  expect(describeError("just text")).toBe("just text");
});
