import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { DatabaseTime } from "./database-time.ts";

/** This machine's clock is a minute wrong. */
const databaseNow = Date.UTC(2026, 5, 1, 12);
const ownNow = databaseNow + 60_000;

function arrange() {
  const clock = new ManualClock(ownNow);
  const time = new DatabaseTime(clock);
  /** A statement that took so long, and whose answer carried this time. */
  const ask = (roundTripMs: number, answer: number) => {
    const askedAt = clock.monotonic();
    clock.advance(roundTripMs);
    time.learn(answer, askedAt, clock.monotonic());
  };
  return { clock, time, ask };
}

test("before the first answer of the database there is only this machine's clock", () => {
  expect(arrange().time.now()).toBe(ownNow);
});

test("after it, time is the database's and goes on with this machine's steady clock, whatever its wall clock says", () => {
  const { clock, time, ask } = arrange();
  ask(2, databaseNow);
  expect(time.now()).toBe(databaseNow);
  clock.advance(1_500);
  expect(time.now()).toBe(databaseNow + 1_500);
});

test("it never runs ahead of the database: the time that an answer travelled back is not added", () => {
  const { time, ask } = arrange();
  ask(400, databaseNow);
  expect(time.now()).toBe(databaseNow);
});

test("the answer with the shorter round trip is the more exact one", () => {
  const { time, ask } = arrange();
  ask(2, databaseNow);
  ask(50, databaseNow + 20);
  expect(time.now()).toBe(databaseNow + 50);
  ask(1, databaseNow + 51.5);
  expect(time.now()).toBe(databaseNow + 51.5);
});

test("an exact answer is forgotten after a minute, so that a clock that drifts is followed", () => {
  const { clock, time, ask } = arrange();
  ask(1, databaseNow);
  clock.advance(60_000);
  ask(50, databaseNow + 61_000);
  expect(time.now()).toBe(databaseNow + 61_000);
});

test("an answer that carries no time teaches nothing", () => {
  const { time, ask } = arrange();
  ask(1, Number.NaN);
  expect(time.now()).toBe(ownNow + 1);
});
