import { Webhook } from "standardwebhooks";
import { type Distribution, distributionOf } from "./distribution.ts";
import { isSigned } from "./is-signed.ts";
import type { LedgerRun } from "./ledger.ts";
import type { Call } from "./receiver-log.ts";

/** The rule, the ledger and the receiver's log held against each other. */
export interface Balance {
  /** Occurrences that the rules have. */
  expected: number;
  /** Rows of the ledger for them. */
  recorded: number;
  /** Occurrences without a row, with one that has not come to its end, or with one that says it succeeded while the receiver was not called. */
  lost: number;
  /** Rows, and calls, without an occurrence. */
  unexpected: number;
  /** Runs that the receiver was called for, and all calls. */
  called: number;
  calls: number;
  /** Calls beyond the first of a run. */
  duplicates: number;
  /** Calls whose signature does not verify, and calls before their instant. */
  unverified: number;
  early: number;
  /** Attempts whose executor was lost: what may have been called twice for it. */
  leasesLost: number;
  /** Runs by state, with the reason where there is one. */
  states: Record<string, number>;
  /** From the occurrence to the start of the first attempt, in ms. */
  lagMs: Distribution;
}

const finalStates = new Set(["succeeded", "failed", "canceled", "skipped", "missed"]);

export function balance(
  expected: ReadonlyMap<string, readonly number[]>,
  ledger: readonly LedgerRun[],
  { calls, secret }: { calls: readonly Call[]; secret: string },
): Balance {
  const webhook = new Webhook(secret);
  const times = new Map<string, number>();
  for (const { headers } of calls) times.set(headers["webhook-id"] ?? "", (times.get(headers["webhook-id"] ?? "") ?? 0) + 1);
  const runs = new Map(ledger.map((run) => [`${run.scheduleId} ${run.scheduledFor}`, run]));
  const wanted = [...expected].flatMap(([scheduleId, instants]) => instants.map((at) => `${scheduleId} ${at}`));
  const recorded = wanted.flatMap((key) => runs.get(key) ?? []);
  const isKept = (run: LedgerRun) => finalStates.has(run.state) && (run.state !== "succeeded" || times.has(run.id));
  const known = new Set(recorded.map(({ id }) => id));
  return {
    expected: wanted.length,
    recorded: recorded.length,
    lost: wanted.length - recorded.filter(isKept).length,
    unexpected: ledger.length - recorded.length + [...times.keys()].filter((id) => !known.has(id)).length,
    called: times.size,
    calls: calls.length,
    duplicates: calls.length - times.size,
    unverified: calls.filter((call) => !isSigned(webhook, call)).length,
    early: calls.filter(({ atMs, headers }) => atMs < Date.parse(headers["x-scheduled-for"] ?? "")).length,
    leasesLost: ledger.flatMap(({ attempts }) => attempts).filter(({ outcome }) => outcome === "unknown").length,
    states: countBy(ledger, ({ state, reason }) => (reason === null ? state : `${state} (${reason})`)),
    lagMs: distributionOf(recorded.flatMap(firstLag)),
  };
}

function firstLag({ scheduledFor, attempts }: LedgerRun): number[] {
  const startedAt = attempts[0]?.startedAt;
  return startedAt === null || startedAt === undefined ? [] : [startedAt - scheduledFor];
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
