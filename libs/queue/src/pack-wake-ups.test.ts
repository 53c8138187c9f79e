import * as fc from "fast-check";
import { expect, test } from "vitest";
import { chunks, type DueRun, packWakeUps } from "./pack-wake-ups.ts";
import { decodeWakeUp } from "./wake-up.ts";

const uuid = (number: number) => `00000000-0000-8000-8000-${String(number).padStart(12, "0")}`;

function runsOf(tenant: number, count: number, delaySeconds = 0): DueRun[] {
  return Array.from({ length: count }, (_, index) => ({ tenantId: uuid(tenant), runId: uuid(tenant * 10_000 + index), delaySeconds }));
}

const sizes = (runs: readonly DueRun[], runsPerMessage = 20) => packWakeUps(runs, runsPerMessage).map(({ refs }) => refs.length);

test("nothing due is no message", () => {
  expect(packWakeUps([], 20)).toEqual([]);
});

test("up to ten runs travel one to a message, so that several executors share them for the price of one request", () => {
  expect(sizes(runsOf(1, 1))).toEqual([1]);
  expect(sizes(runsOf(1, 10))).toEqual(Array.from({ length: 10 }, () => 1));
});

test("more runs are spread over the ten messages of one request before messages are filled up", () => {
  expect(sizes(runsOf(1, 50))).toEqual(Array.from({ length: 10 }, () => 5));
  expect(sizes(runsOf(1, 11))).toEqual([2, 2, 2, 2, 2, 1]);
  expect(sizes(runsOf(1, 200))).toEqual(Array.from({ length: 10 }, () => 20));
});

test("a message never carries more than it may, however many runs are due", () => {
  expect(sizes(runsOf(1, 1_000))).toEqual(Array.from({ length: 50 }, () => 20));
  expect(sizes(runsOf(1, 1_000), 1)).toHaveLength(1_000);
});

test("runs with different delays do not share a message", () => {
  const wakeUps = packWakeUps([...runsOf(1, 30, 5), ...runsOf(2, 30, 6)], 20);
  expect(new Set(wakeUps.map(({ delaySeconds, groupId }) => `${delaySeconds} ${groupId}`))).toEqual(
    new Set([`5 ${uuid(1)}`, `6 ${uuid(2)}`]),
  );
});

test("a tenant with enough runs has messages and a fair-queue group of its own; small tenants ride together", () => {
  const wakeUps = packWakeUps([...runsOf(1, 100), ...[2, 3, 4, 5].flatMap((tenant) => runsOf(tenant, 3))], 20);
  const [own, shared] = [
    wakeUps.filter(({ groupId }) => groupId === uuid(1)),
    wakeUps.filter(({ groupId }) => groupId === "small-tenants"),
  ];
  expect(own.flatMap(({ refs }) => refs)).toHaveLength(100);
  expect(new Set(own.flatMap(({ refs }) => refs.map(({ tenantId }) => tenantId)))).toEqual(new Set([uuid(1)]));
  // 112 runs at once are twelve to a message: the twelve of the small tenants fit into one.
  expect(shared.map(({ refs }) => refs.length)).toEqual([12]);
  expect(wakeUps).toHaveLength(own.length + shared.length);
});

test("every run is in exactly one message, with its delay, whatever is due for whom", () => {
  const due = fc.array(
    fc.record({
      tenant: fc.integer({ min: 1, max: 6 }),
      count: fc.integer({ min: 0, max: 120 }),
      delaySeconds: fc.constantFrom(0, 1, 900),
    }),
    {
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(due, fc.integer({ min: 1, max: 100 }), (groups, runsPerMessage) => {
      const runs = groups.flatMap(({ tenant, count, delaySeconds }, index) =>
        runsOf(tenant, count, delaySeconds).map((run) => ({
          ...run,
          runId: `${run.runId.slice(0, 8)}-${String(index).padStart(4, "0")}${run.runId.slice(13)}`,
        })),
      );
      const wakeUps = packWakeUps(runs, runsPerMessage);
      const packed = wakeUps.flatMap(({ refs, delaySeconds }) => refs.map(({ tenantId, runId }) => `${tenantId} ${runId} ${delaySeconds}`));
      expect(packed.toSorted()).toEqual(runs.map(({ tenantId, runId, delaySeconds }) => `${tenantId} ${runId} ${delaySeconds}`).sort());
      expect(wakeUps.filter(({ refs }) => refs.length > runsPerMessage)).toEqual([]);
      const ofOthers = wakeUps.filter(
        ({ refs, groupId }) => groupId !== "small-tenants" && refs.some(({ tenantId }) => tenantId !== groupId),
      );
      expect(ofOthers).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test("the body names exactly the runs of its message", () => {
  for (const { body, refs } of packWakeUps([...runsOf(1, 3), ...runsOf(2, 3)], 20))
    expect(decodeWakeUp(body)).toEqual({ isReadable: true, refs });
});

test("chunks lose nothing and keep the order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 12 }), (items, size) => {
      const parts = chunks(items, size);
      expect(parts.flat()).toEqual(items);
      expect(parts.slice(0, -1).every((part) => part.length === size)).toBe(true);
    }),
  );
});
