import { setImmediate } from "node:timers/promises";
import { captureLog } from "@downbeat/testkit/captured-log.ts";
import { expect, test } from "vitest";
import { Lifecycle } from "./lifecycle.ts";

test("parts are closed last-in first-out, each after the one before it is closed", async () => {
  const lifecycle = new Lifecycle();
  const steps: string[] = [];
  for (const name of ["postgres", "queue", "loop"]) {
    lifecycle.onClose(name, async () => {
      steps.push(`close ${name}`);
      await setImmediate();
      steps.push(`${name} closed`);
    });
  }
  await lifecycle.close(captureLog().log);
  expect(steps).toEqual(["close loop", "loop closed", "close queue", "queue closed", "close postgres", "postgres closed"]);
});

test("a part that fails to close is logged and does not keep the others open", async () => {
  const lifecycle = new Lifecycle();
  const closed: string[] = [];
  const { log, lines } = captureLog();
  lifecycle.onClose("postgres", () => closed.push("postgres"));
  lifecycle.onClose("queue", () => Promise.reject(new Error("socket is gone")));
  lifecycle.onClose("listener", () => {
    throw new Error("was never open");
  });
  await lifecycle.close(log);
  expect(closed).toEqual(["postgres"]);
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ["error", "cannot close listener: was never open"],
    ["error", "cannot close queue: socket is gone"],
  ]);
});

test("loops are told to stop before anything is closed under them", async () => {
  const lifecycle = new Lifecycle();
  lifecycle.onClose("postgres", () => expect(lifecycle.signal.aborted).toBe(true));
  const { log, lines } = captureLog();
  expect(lifecycle.signal.aborted).toBe(false);
  await lifecycle.close(log);
  expect(lines).toEqual([]);
});

test("closing twice closes once, and both wait for the end of it", async () => {
  const lifecycle = new Lifecycle();
  let closes = 0;
  lifecycle.onClose("postgres", async () => {
    await setImmediate();
    closes += 1;
  });
  const { log } = captureLog();
  const first = lifecycle.close(log);
  await lifecycle.close(log);
  expect(closes).toBe(1);
  await first;
});
