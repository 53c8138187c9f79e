import { setImmediate } from "node:timers/promises";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { every } from "./every.ts";

test("ticks come at whole intervals from the start, however long a tick takes", async () => {
  const clock = new ManualClock(1_000_000);
  const stop = new AbortController();
  const ticks: number[] = [];
  const loop = every(
    100,
    async () => {
      ticks.push(clock.monotonic());
      clock.advance(30);
    },
    { clock, signal: stop.signal },
  );
  for (let passed = 0; passed < 3; passed += 1) {
    await setImmediate();
    clock.advance(70);
  }
  await setImmediate();
  stop.abort();
  await loop;
  expect(ticks).toEqual([0, 100, 200, 300]);
});

test("ticks that fell due while one was running are dropped, not made up in a burst", async () => {
  const clock = new ManualClock(0);
  const stop = new AbortController();
  const ticks: number[] = [];
  const loop = every(
    100,
    async () => {
      ticks.push(clock.monotonic());
      clock.advance(ticks.length === 1 ? 350 : 0);
    },
    { clock, signal: stop.signal },
  );
  await setImmediate();
  expect(ticks).toEqual([0]);
  clock.advance(50);
  await setImmediate();
  expect(ticks).toEqual([0, 400]);
  stop.abort();
  await loop;
});

test("the signal ends the loop in the middle of its sleep, without another tick", async () => {
  const clock = new ManualClock(0);
  const stop = new AbortController();
  let ticks = 0;
  const loop = every(
    100,
    async () => {
      ticks += 1;
    },
    { clock, signal: stop.signal },
  );
  await setImmediate();
  stop.abort();
  await loop;
  expect(ticks).toBe(1);
});

test("a tick that throws ends the loop with its error", async () => {
  await expect(
    every(100, () => Promise.reject(new Error("no table")), { clock: new ManualClock(0), signal: new AbortController().signal }),
  ).rejects.toThrow("no table");
});
