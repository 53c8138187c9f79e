import { setImmediate } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Slots } from "./slots.ts";

/** Takes a slot for each name, in order; answers who has got one so far. */
function takeFor(slots: Slots, names: readonly string[], signal?: AbortSignal): string[] {
  const entered: string[] = [];
  for (const name of names) void slots.take(signal).then((isTaken) => entered.push(isTaken ? name : `${name} left`));
  return entered;
}

test("slots are handed out first come, first served, and a newcomer does not overtake those who wait", async () => {
  const slots = new Slots(1);
  const entered = takeFor(slots, ["a", "b", "c"]);
  await setImmediate();
  expect(entered).toEqual(["a"]);
  slots.release();
  const late = takeFor(slots, ["late"]);
  await setImmediate();
  expect([entered, late]).toEqual([["a", "b"], []]);
  slots.release();
  slots.release();
  await setImmediate();
  expect([entered, late]).toEqual([["a", "b", "c"], ["late"]]);
});

test("who stops waiting takes no slot along and leaves the order of the others", async () => {
  const slots = new Slots(1);
  const leaving = new AbortController();
  const first = takeFor(slots, ["a"]);
  const impatient = takeFor(slots, ["b"], leaving.signal);
  const patient = takeFor(slots, ["c"]);
  leaving.abort();
  await setImmediate();
  expect([first, impatient, patient]).toEqual([["a"], ["b left"], []]);
  slots.release();
  await setImmediate();
  expect([patient, slots.free]).toEqual([["c"], 0]);
  slots.release();
  expect(slots.free).toBe(1);
});

test("a slot that was already granted stays granted when the signal aborts afterwards", async () => {
  const slots = new Slots(1);
  await slots.take();
  const leaving = new AbortController();
  const taken = slots.take(leaving.signal);
  slots.release();
  leaving.abort();
  expect(await taken).toBe(true);
  expect(slots.free).toBe(0);
  expect(await slots.take(leaving.signal)).toBe(false);
});

test("never more than the given number are inside, and none is lost, whatever the order of coming, leaving and giving up", async () => {
  const steps = fc.array(fc.constantFrom("take", "release", "give up"), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (count, actions) => {
      const slots = new Slots(count);
      let inside = 0;
      const leaving: AbortController[] = [];
      for (const action of actions) {
        if (action === "take") {
          const leave = new AbortController();
          leaving.push(leave);
          void slots.take(leave.signal).then((isTaken) => (inside += isTaken ? 1 : 0));
        } else if (action === "give up") leaving.shift()?.abort();
        else if (inside > 0) {
          inside -= 1;
          slots.release();
        }
        await setImmediate();
        expect(inside).toBeLessThanOrEqual(count);
        expect(inside + slots.free).toBe(count);
      }
    }),
    { numRuns: 50 },
  );
});
