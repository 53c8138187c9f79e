import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";

test("a sleep ends at once, without error, when its signal aborts, and is not begun after that", async () => {
  const stop = new AbortController();
  const sleep = systemClock.sleep(2 ** 40, stop.signal);
  stop.abort();
  expect(await sleep).toBeUndefined();
  expect(await systemClock.sleep(2 ** 40, stop.signal)).toBeUndefined();
});

test("a sleep that is over leaves no listener on a signal that lives as long as the process", async () => {
  const { signal } = new AbortController();
  await systemClock.sleep(1, signal);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("a sleep is never shorter than asked for, not even by the fraction of a millisecond that Node's timers drop", async () => {
  for (let round = 0; round < 30; round += 1) {
    const delayMs = 1 + round / 30;
    const startMs = systemClock.monotonic();
    await systemClock.sleep(delayMs);
    expect(systemClock.monotonic() - startMs).toBeGreaterThanOrEqual(delayMs);
  }
});

test("a sleep of nothing, or of less, ends at once", async () => {
  expect(await systemClock.sleep(0)).toBeUndefined();
  expect(await systemClock.sleep(-1)).toBeUndefined();
});
