import type { LogLine, ServiceProcess } from "@downbeat/testkit/service-process.ts";
import { expect } from "vitest";

/** Timers may fire a little early by the wall clock of the log. */
const toleranceMs = 20;

const isTrouble = ({ level }: LogLine): boolean => level === "warn" || level === "error" || level === "fatal";

/**
 * An outage must read as a short story: for each thing the process could not do, one warning for each back-off step, numbered 1, 2, 3 …, none before the announced wait is
 * over, and one line when it worked again. Nothing else may be complained about but what `alsoLogged` names. Answers the actions that failed, with the most steps each needed.
 */
export function outageStory({ name, logs }: ServiceProcess, { alsoLogged = [] }: { alsoLogged?: string[] } = {}): Record<string, number> {
  const known = ["ALLOW_PRIVATE_TARGETS is on", ...alsoLogged];
  const steps: Record<string, number> = {};
  let othersLogged = 0;
  const last = new Map<string, LogLine>();
  for (const line of logs) {
    const { action, failures = 0, msg = "" } = line;
    if (isTrouble(line) && !known.some((start) => msg.startsWith(start))) {
      expect({ name, line, isStep: action !== undefined && line.level === "warn" }).toMatchObject({ isStep: true });
    }
    if (action === undefined) {
      if (isTrouble(line) && !msg.startsWith("attempt")) othersLogged += 1;
      continue;
    }
    const before = last.get(action);
    if (msg.startsWith("recovered")) {
      expect({ name, line, failedBefore: before?.failures }).toMatchObject({ failedBefore: failures });
      last.delete(action);
      continue;
    }
    expect({ name, line, step: failures }).toMatchObject({ step: (before?.failures ?? 0) + 1 });
    if (before !== undefined) {
      const waitedMs = Date.parse(line.time) - Date.parse(before.time);
      expect({ name, line, isTooSoon: waitedMs < (before.retryInMs ?? 0) - toleranceMs }).toMatchObject({ isTooSoon: false });
    }
    last.set(action, line);
    steps[action] = Math.max(steps[action] ?? 0, failures);
  }
  expect({ name, othersLogged }).toMatchObject({ othersLogged: expect.toSatisfy((count: number) => count <= 20) });
  // Whatever was in trouble has recovered.
  expect([...last.values()].map(({ msg }) => msg)).toEqual([]);
  return steps;
}
