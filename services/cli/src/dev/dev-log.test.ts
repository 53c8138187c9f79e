import { expect, test } from "vitest";
import { readableLine } from "./dev-log.ts";

const line = (level: string, msg: string) => JSON.stringify({ level, time: "2026-03-08T09:00:00.000Z", role: "dispatcher", msg });

test("warnings and errors reach the terminal as one readable line", () => {
  expect(readableLine(line("warn", "cannot dispatch:\nECONNREFUSED"))).toBe("warn  dispatcher: cannot dispatch: ECONNREFUSED");
  expect(readableLine(line("error", "x"))).toBe("error  dispatcher: x");
});

test("everything else stays in the file", () => {
  expect(readableLine(line("info", "pass"))).toBeUndefined();
  expect(readableLine(line("trace", "pass"))).toBeUndefined();
  expect(readableLine("not JSON")).toBeUndefined();
});
