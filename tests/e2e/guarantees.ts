import { Webhook } from "standardwebhooks";
import { expect } from "vitest";
import { isSigned } from "./is-signed.ts";
import type { LoadResult } from "./load.ts";
import type { Call } from "./receiver-log.ts";

/** How often each run was called, by `webhook-id`. Every call must verify with the stock library, and be about the run it names. */
export function verifiedCalls(calls: readonly Call[], secret: string): Map<string, number> {
  const webhook = new Webhook(secret);
  const times = new Map<string, number>();
  for (const call of calls) {
    const id = call.headers["webhook-id"] ?? "";
    expect(isSigned(webhook, call)).toBe(true);
    expect(JSON.parse(call.body)).toMatchObject({ run_id: id });
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  return times;
}

/** No call was made before the instant it is for. */
export function expectNeverEarly(calls: readonly Call[]): void {
  expect(calls.filter(({ atMs, headers }) => atMs < Date.parse(headers["x-scheduled-for"] ?? ""))).toEqual([]);
}

/** Every occurrence has exactly one run, which succeeded and was called; what the pause took back was not called. */
export function expectNothingLost({ tenant, expected, ledger, calls }: LoadResult): void {
  for (const [scheduleId, { occurrences, pausedAt, withdrawnFrom }] of expected) {
    const own = ledger.filter((run) => run.scheduleId === scheduleId);
    const due = own.filter(({ scheduledFor }) => scheduledFor <= pausedAt);
    expect(due.map(({ scheduledFor, state }) => ({ scheduledFor, state }))).toEqual(
      occurrences.map((scheduledFor) => ({ scheduledFor, state: "succeeded" })),
    );
    const later = own.filter(({ scheduledFor }) => scheduledFor > withdrawnFrom);
    expect(later.filter(({ state, reason }) => state !== "canceled" || reason !== "schedule_changed")).toEqual([]);
  }
  const succeeded = ledger.filter(({ state }) => state === "succeeded").map(({ id }) => id);
  expect([...verifiedCalls(calls, tenant.secret).keys()].sort()).toEqual(succeeded.sort());
  expectNeverEarly(calls);
}

/** And each was called once. */
export function expectEachCalledOnce(result: LoadResult): void {
  expectNothingLost(result);
  expect([...verifiedCalls(result.calls, result.tenant.secret)].filter(([, times]) => times !== 1)).toEqual([]);
}

/** Calls beyond the first of a run: at most one for each lease that was lost (promise P3). */
export function expectDoubledOnlyByLostLeases({ tenant, ledger, calls }: LoadResult): void {
  const lost = new Map(ledger.map(({ id, attempts }) => [id, attempts.filter(({ outcome }) => outcome === "unknown").length]));
  const tooOften = [...verifiedCalls(calls, tenant.secret)].filter(([id, times]) => times > 1 + (lost.get(id) ?? 0));
  expect(tooOften).toEqual([]);
}
