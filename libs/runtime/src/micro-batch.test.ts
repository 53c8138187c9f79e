import { setImmediate } from "node:timers/promises";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { MicroBatch } from "./micro-batch.ts";

/** A batch whose flushes end when the test says so. */
function arrange({ itemsMax = 3, delayMs = 20, flushesMax = 1 } = {}) {
  const clock = new ManualClock(0);
  const flushes: { items: readonly number[]; end: () => void; fail: (error: unknown) => void }[] = [];
  const batch = new MicroBatch<number>({
    clock,
    itemsMax,
    delayMs,
    flushesMax,
    flush: (items) => new Promise((resolve, reject) => flushes.push({ items, end: resolve, fail: reject })),
  });
  const done: number[] = [];
  const add = (...items: number[]) => {
    for (const item of items) void batch.add(item).then(() => done.push(item));
  };
  return { clock, batch, flushes, done, add, flushed: () => flushes.map(({ items }) => items) };
}

test("a full batch goes at once", () => {
  const { add, flushed } = arrange();
  add(1, 2, 3);
  expect(flushed()).toEqual([[1, 2, 3]]);
});

test("a batch that is not full goes when its first item has waited long enough, not its last", async () => {
  const { clock, add, flushed } = arrange();
  add(1);
  clock.advance(19);
  add(2);
  await setImmediate();
  expect(flushed()).toEqual([]);
  clock.advance(1);
  await setImmediate();
  expect(flushed()).toEqual([[1, 2]]);
});

test("the wait of a batch that went because it was full does not cut short the next one's", async () => {
  const { clock, add, flushed } = arrange({ flushesMax: 2 });
  add(1);
  clock.advance(15);
  add(2, 3, 4);
  clock.advance(5);
  await setImmediate();
  expect(flushed()).toEqual([[1, 2, 3]]);
  clock.advance(15);
  await setImmediate();
  expect(flushed()).toEqual([[1, 2, 3], [4]]);
});

test("an item is done when its own batch has been flushed, not before and not with another", async () => {
  const { add, flushes, done } = arrange({ itemsMax: 1, flushesMax: 2 });
  add(1, 2);
  await setImmediate();
  expect(done).toEqual([]);
  flushes[1]?.end();
  await setImmediate();
  expect(done).toEqual([2]);
});

test("at most so many batches are being flushed; what gathers meanwhile goes, in order, as one ends", async () => {
  const { clock, add, flushes, flushed } = arrange({ itemsMax: 2, flushesMax: 2 });
  add(1, 2, 3, 4, 5, 6, 7);
  clock.advance(1_000);
  await setImmediate();
  expect(flushed()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  flushes[0]?.end();
  await setImmediate();
  expect(flushed().slice(2)).toEqual([[5, 6]]);
  flushes[1]?.end();
  await setImmediate();
  expect(flushed().slice(3)).toEqual([[7]]);
});

test("a flush that fails rejects every item of its batch and no other, and the next batch goes all the same", async () => {
  const { batch, flushes } = arrange({ itemsMax: 2 });
  const added = [1, 2, 3, 4].map((item) => batch.add(item));
  const results = Promise.allSettled(added);
  flushes[0]?.fail(new Error("server is away"));
  await setImmediate();
  flushes[1]?.end();
  expect((await results).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled", "fulfilled"]);
});

test("draining sends what is waiting now and ends when all of it is flushed", async () => {
  const { batch, add, flushes, flushed } = arrange();
  add(1, 2, 3, 4);
  let isDrained = false;
  const drained = batch.drained().then(() => (isDrained = true));
  flushes[0]?.end();
  await setImmediate();
  expect([isDrained, flushed()]).toEqual([false, [[1, 2, 3], [4]]]);
  flushes[1]?.end();
  await drained;
});

test("draining ends also when the last flush failed", async () => {
  const { batch, flushes } = arrange();
  const added = batch.add(1);
  const drained = batch.drained();
  flushes[0]?.fail(new Error("server is away"));
  await expect(added).rejects.toThrow("server is away");
  await drained;
});

test("an idle batch is drained at once, and never flushes nothing", async () => {
  const { clock, batch, add, flushes, flushed } = arrange();
  await batch.drained();
  add(1);
  const drained = batch.drained();
  flushes[0]?.end();
  await drained;
  clock.advance(1_000);
  await setImmediate();
  expect(flushed()).toEqual([[1]]);
  expect(clock.sleeping).toBe(0);
});
