import { setImmediate } from "node:timers/promises";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { WakeSignal } from "./wake-signal.ts";

function arrange() {
  const wake = new WakeSignal();
  const clock = new ManualClock(0);
  const stop = new AbortController();
  let wakings = 0;
  const sleep = () => void wake.sleep(5_000, clock, stop.signal).then(() => (wakings += 1));
  return { wake, clock, stop, sleep, wakings: async () => (await setImmediate(), wakings) };
}

test("a sleep that nobody ends lasts as long as it was meant to", async () => {
  const { clock, sleep, wakings } = arrange();
  sleep();
  clock.advance(4_999);
  expect(await wakings()).toBe(0);
  clock.advance(1);
  expect(await wakings()).toBe(1);
});

test("a ring ends the sleep at once, and only that one", async () => {
  const { wake, sleep, wakings } = arrange();
  sleep();
  wake.ring();
  wake.ring();
  expect(await wakings()).toBe(1);
  sleep();
  expect(await wakings()).toBe(1);
});

test("a ring while nobody sleeps is remembered, once", async () => {
  const { wake, sleep, wakings } = arrange();
  wake.ring();
  wake.ring();
  sleep();
  expect(await wakings()).toBe(1);
  sleep();
  expect(await wakings()).toBe(1);
});

test("the signal ends the sleep too, and leaves no timer behind", async () => {
  const { clock, stop, sleep, wakings } = arrange();
  sleep();
  stop.abort();
  expect([await wakings(), clock.sleeping]).toEqual([1, 0]);
});
