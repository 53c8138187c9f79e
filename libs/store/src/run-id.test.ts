import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { instantOfRunId, runId } from "./run-id.ts";

const scheduleId = "0c1f7f6c-7d3c-4f0e-9a51-2b9f4d2c8e11";
const noon = Date.UTC(2026, 5, 1, 12);

const arbitraryAt = fc.integer({ min: 0, max: 2 ** 48 - 1 });

test("an id is a UUID of version 8 whose first 48 bits are the instant in milliseconds", () => {
  fc.assert(
    fc.property(fc.uuid(), arbitraryAt, fc.string(), (schedule, at, trigger) => {
      const id = runId(schedule, at, trigger);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toBe(at);
    }),
  );
});

test("the instant can be read from the id again, so that a message tells when its runs are due", () => {
  fc.assert(
    fc.property(arbitraryAt, (at) => {
      expect(instantOfRunId(runId(scheduleId, at))).toBe(at);
    }),
  );
});

test("the id of an occurrence never changes: every dispatcher, of every version, computes this one", () => {
  expect(runId(scheduleId, noon)).toBe("019e830e-1a00-8024-b6f3-5d3bca5ee197");
  expect(runId(scheduleId, noon, "request-1")).toBe("019e830e-1a00-8b79-a498-671d7d57fb6d");
});

test("ids sort by their instants", () => {
  fc.assert(
    fc.property(arbitraryAt, arbitraryAt, (a, b) => {
      const [first, second] = [runId(randomUUID(), Math.min(a, b)), runId(randomUUID(), Math.max(a, b))];
      expect(a === b || first < second).toBe(true);
    }),
  );
});

test("another schedule, another instant or another request is another run; a request is never the scheduled slot itself", () => {
  const ids = [
    runId(scheduleId, noon),
    runId(scheduleId, noon, "request-1"),
    runId(scheduleId, noon, "request-2"),
    runId(scheduleId, noon + 1),
    runId(randomUUID(), noon),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test("what is no whole millisecond since 1970 has no id", () => {
  for (const at of [-1, 0.5, Number.NaN, 2 ** 48, Number.POSITIVE_INFINITY]) expect(() => runId(scheduleId, at)).toThrow(RangeError);
});
