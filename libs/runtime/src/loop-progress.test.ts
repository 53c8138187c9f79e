import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { LoopProgress } from "./loop-progress.ts";

test("a loop is silent from its last step on, and not at all while it rests", () => {
  const clock = new ManualClock(0);
  const progress = new LoopProgress(clock);
  clock.advance(1_000);
  expect(progress.silentMs()).toBe(1_000);
  progress.note();
  expect(progress.silentMs()).toBe(0);
  clock.advance(500);
  progress.rest();
  clock.advance(86_400_000);
  expect(progress.silentMs()).toBe(0);
  progress.note();
  clock.advance(2_000);
  expect(progress.silentMs()).toBe(2_000);
});
