import { setImmediate } from "node:timers/promises";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { ManualClock } from "@downbeat/testkit/manual-clock.ts";
import { expect, test } from "vitest";
import { type BackOffOptions, keepTrying, Outage, StoppedError } from "./back-off.ts";

function arrange(options: Partial<BackOffOptions> = {}) {
  const clock = new ManualClock(0);
  const stop = new AbortController();
  const { log, lines } = captureLog();
  return { clock, stop, lines, options: { clock, random: () => 0, log, signal: stop.signal, action: "receive messages", ...options } };
}

/** Fails `failures` times, and notes when it was called. */
function flaky(clock: ManualClock, failures: number) {
  const calledAt: number[] = [];
  const act = async () => {
    calledAt.push(clock.monotonic());
    if (calledAt.length <= failures) throw new Error("connection refused");
    return "here";
  };
  return { act, calledAt };
}

/** Lets `seconds` go by in steps small enough that every wait ends on its instant. */
async function pass(clock: ManualClock, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 10; step += 1) {
    await setImmediate();
    clock.advance(100);
  }
  await setImmediate();
}

test("waits 0.5 s, 1 s, 2 s and so on up to 15 s, and never gives up", async () => {
  const { clock, options } = arrange();
  const { act, calledAt } = flaky(clock, 7);
  const tried = keepTrying(act, options);
  await pass(clock, 65);
  expect(await tried).toBe("here");
  const waits = calledAt.slice(1).map((at, index) => at - (calledAt[index] ?? 0));
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});

test("adds at most 20 % to a wait, so that processes do not come back all at once", async () => {
  const { clock, options, lines } = arrange({ random: () => 0.999_999 });
  const { act } = flaky(clock, 7);
  const tried = keepTrying(act, options);
  await pass(clock, 80);
  await tried;
  expect(lines.flatMap(({ retryInMs }) => retryInMs ?? [])).toEqual([600, 1_200, 2_400, 4_800, 9_600, 18_000, 18_000]);
});

test("an outage reads as one line a step and one when it is over", async () => {
  const { clock, options, lines } = arrange();
  const { act } = flaky(clock, 3);
  const tried = keepTrying(act, options);
  await pass(clock, 5);
  await tried;
  expect(lines.map(({ level, failures, msg }) => ({ level, failures, msg }))).toEqual([
    { level: "warn", failures: 1, msg: "cannot receive messages: connection refused" },
    { level: "warn", failures: 2, msg: "cannot receive messages: connection refused" },
    { level: "warn", failures: 3, msg: "cannot receive messages: connection refused" },
    { level: "info", failures: 3, msg: "recovered: receive messages" },
  ]);
});

test("what succeeds at once is not worth a line", async () => {
  const { options, lines } = arrange();
  expect(await keepTrying(async () => 7, options)).toBe(7);
  expect(lines).toEqual([]);
});

test("the signal ends a wait at once", async () => {
  const { clock, stop, options } = arrange();
  const { act, calledAt } = flaky(clock, 9);
  const tried = keepTrying(act, options);
  await setImmediate();
  stop.abort();
  await expect(tried).rejects.toThrow(StoppedError);
  expect(calledAt).toEqual([0]);
});

test("nothing is tried after the signal", async () => {
  const { clock, stop, options } = arrange();
  stop.abort();
  const { act, calledAt } = flaky(clock, 0);
  await expect(keepTrying(act, options)).rejects.toThrow(StoppedError);
  expect(calledAt).toEqual([]);
});

test("an attempt that the signal interrupted ends as stopped, with what it threw as the cause, and is no outage to report", async () => {
  const { stop, options, lines } = arrange();
  const interrupted = new Error("aborted");
  const act = async () => {
    stop.abort();
    throw interrupted;
  };
  await expect(keepTrying(act, options)).rejects.toMatchObject({ name: "StoppedError", cause: interrupted });
  expect(lines).toEqual([]);
});

test("an error that waiting cannot mend is thrown at once, as it is", async () => {
  const bug = new Error("column does not exist");
  const { options, lines } = arrange({ isTransient: (error) => error !== bug });
  await expect(keepTrying(() => Promise.reject(bug), options)).rejects.toBe(bug);
  expect(lines).toEqual([]);
});

test("loops that share an outage tell it once, in step, and one of them tells its end", async () => {
  const { clock, options, lines } = arrange({ outage: new Outage() });
  const receivers = [flaky(clock, 2), flaky(clock, 2)];
  const tried = Promise.all(receivers.map(({ act }) => keepTrying(act, options)));
  await pass(clock, 5);
  await tried;
  expect(receivers.map(({ calledAt }) => calledAt)).toEqual([
    [0, 500, 1_500],
    [0, 500, 1_500],
  ]);
  expect(lines.map(({ level, failures }) => [level, failures])).toEqual([
    ["warn", 1],
    ["warn", 2],
    ["info", 2],
  ]);
});

test("who joins an outage waits for its next step and says nothing", async () => {
  const { clock, options, lines } = arrange({ outage: new Outage() });
  const first = flaky(clock, 1);
  const second = flaky(clock, 1);
  const tried = [keepTrying(first.act, options)];
  await setImmediate();
  clock.advance(300);
  tried.push(keepTrying(second.act, options));
  await pass(clock, 2);
  await Promise.all(tried);
  expect([first.calledAt, second.calledAt]).toEqual([
    [0, 500],
    [300, 500],
  ]);
  expect(lines.map(({ msg }) => msg)).toEqual(["cannot receive messages: connection refused", "recovered: receive messages"]);
});

test("an outage that is over starts from the first step when it comes again", async () => {
  const { clock, options, lines } = arrange({ outage: new Outage() });
  for (const failures of [3, 1]) {
    const tried = keepTrying(flaky(clock, failures).act, options);
    await pass(clock, 5);
    await tried;
  }
  expect(lines.flatMap(({ retryInMs }) => retryInMs ?? [])).toEqual([500, 1_000, 2_000, 500]);
});

test("an outage is over only when a result proves it, also across calls", async () => {
  const { clock, options, lines } = arrange({ outage: new Outage(), isProof: (result) => result === "sent" });
  const results = ["fails", "nothing to send", "sent", "sent"];
  for (const result of results) {
    const tried = keepTrying(
      () => (result === "fails" && lines.length === 0 ? Promise.reject(new Error("queue is away")) : Promise.resolve(result)),
      options,
    );
    await pass(clock, 1);
    await tried;
  }
  expect(lines.map(({ level }) => level)).toEqual(["warn", "info"]);
});
